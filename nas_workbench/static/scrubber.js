// The architecture at any epoch of a search: drag, press the arrow keys, or play it.
// A film is what `nas_workbench.scrubber.film` makes of a record. The functions up to `mount` are pure.

const SHADES = {1: '#c6dbef', 3: '#9ecae1', 5: '#3182bd', 7: '#225ea8'};
const ROW = 22, GAP = 10, TOP = 20, LEFT = 6, MIDDLE = .34;  // Height of a row, room between stages, room above, all px; the gutter in percent; where in its column a box stands, so that its probability fits beside it

// Every epoch's boxes, from what changed in each: frames[e] is a list per layer of [column, small, large, chance].
export function frames(film) {
  const found = [];
  let now = film.rows.map(() => []);
  for (const changes of film.changes) {
    now = [...now];
    for (const [layer, boxes] of changes) now[layer] = boxes;
    found.push(now);
  }
  return found;
}

export const clamp = (n, film) => Math.max(0, Math.min(film.epochs.length - 1, Math.round(Number(n)) || 0));

const wide = ([, small, large]) => small === large ? `${small}` : `${small} to ${large}`;

// What one frame holds and the other does not, or in another width; by 'layer|column', in words.
export function differences(here, there, columns) {
  const held = frame => new Map(frame.flatMap((boxes, l) => boxes.filter(b => b[3] !== null).map(b => [`${l}|${b[0]}`, b])));
  if (here.length !== there.length) throw new Error(`${here.length} layers cannot be compared with ${there.length}: use runs over spaces of as many layers`);
  const [a, b] = [held(here), held(there)], found = {};
  for (const key of new Set([...a.keys(), ...b.keys()])) {
    const [l, c] = key.split('|'), what = `layer ${l}: ${columns[c]}`;
    if (!b.has(key)) found[key] = `${what} only here`;
    else if (!a.has(key)) found[key] = `${what} only there`;
    else if (a.get(key)[1] !== b.get(key)[1] || a.get(key)[2] !== b.get(key)[2]) found[key] = `${what} ${wide(a.get(key))} channels here, ${wide(b.get(key))} there`;
  }
  return found;
}

// A box in words.
export function told(film, layer, box) {
  const [c, small, large, chance] = box, kind = film.columns[c];
  if (chance === null) return film.lost[`${layer}|${c}`] ?? `layer ${layer}: ${kind} is gone`;
  return `layer ${layer}, ${kind}: probability ${chance.toFixed(3)}` + (small && film.rows[layer].hidden ? `, ${wide(box)} channels` : '');
}

// A frame in words, for those who do not see it.
export function described(film, frame, epoch) {
  const held = frame.map((boxes, l) => `layer ${l} holds ` + boxes.filter(b => b[3] !== null).map(b => film.columns[b[0]] + (b[1] && film.rows[l].hidden ? ` with ${wide(b)} channels` : '')).join(', '));
  return `${epoch ? `After epoch ${epoch}` : 'At the start'}: ${held.join('; ')}.`;
}

// Where each row stands, px, and how high the whole is.
export function rows(film) {
  const y = film.rows.map((row, l) => TOP + ROW*l + GAP*(row.stage - film.rows[0].stage));
  return {y, height: y[y.length - 1] + ROW + 6};
}

// Rectangles and texts of a frame: x and width in percent, y and height in px. `there` is another frame, outlined where it differs.
export function scene(film, frame, there = null) {
  const {y} = rows(film), column = (100 - LEFT)/film.columns.length, most = film.most;
  const middle = c => LEFT + column*(c + MIDDLE), size = (layer, n) => Math.max(.6, .56*column*n/film.rows[layer].c_in/most);
  const differ = there ? differences(frame, there, film.columns) : {}, found = [];
  const rect = (key, role, layer, c, w, thick, more) => found.push({key, role, layer, x: middle(c) - w/2, width: w, y: y[layer] + (ROW - thick)/2, height: thick, ...more});
  frame.forEach((boxes, layer) => {
    const several = boxes.filter(b => b[3] !== null).length > 1;
    for (const box of boxes) {
      const [c, small, large, chance] = box, kind = film.columns[c], key = `${layer}|${c}`, [, kernel] = /k(\d+)/.exec(kind) ?? [];
      const text = told(film, layer, box) + (key in differ ? ', ' + differ[key].split(': ').slice(1).join(': ') : '');
      const fill = SHADES[kernel] ?? '#54278f', se = kind.endsWith('SE'), skip = kind === 'skip';
      if (chance === null) rect(key, skip ? 'gone wire' : 'gone', layer, c, skip ? .5 : size(layer, large), skip ? ROW : 14, {text});
      else if (skip) rect(key, 'wire', layer, c, .5, ROW, {text});
      else {
        rect(key, se ? 'box se' : 'box', layer, c, size(layer, large), 14, {text, fill, open: large > small});
        if (large > small) rect(`${key}|small`, 'small', layer, c, size(layer, small), 14, {text, fill});
      }
      if (chance !== null && several) found.push({key: `${key}|chance`, role: 'chance', layer, x: LEFT + column*(c + .98), y: y[layer] + ROW/2, label: chance.toFixed(2).replace(/^0/, '')});
    }
  });
  (there ?? []).forEach((boxes, layer) => {
    for (const [c, , large, chance] of boxes)
      if (chance !== null && `${layer}|${c}` in differ) rect(`${layer}|${c}|other`, 'other', layer, c, large ? size(layer, large) : 1.2, 19, {text: differ[`${layer}|${c}`]});
  });
  return found;
}

const count = n => n >= 1e6 ? `${(n/1e6).toPrecision(3)} M` : n >= 1e3 ? `${(n/1e3).toPrecision(3)} k` : `${n}`;

// One line of figures for an epoch.
export function figures(film, e) {
  const say = (name, text) => film[name][e] === null || film[name][e] === undefined ? [] : [text(film[name][e])];
  return [...say('lat', v => `${Number(v.toPrecision(4))} ${film.unit ?? 'µs'} expected`), ...say('top1', v => `${v.toFixed(1)}% right`), ...say('params', v => `${count(v)} parameters`),
    ...say('threshold', v => `threshold ${v.toFixed(2)}`)].join(' · ');
}

// ---------------------------------------------------------------------------------------------------------------------

const SVG = 'http://www.w3.org/2000/svg';

function element(tag, attributes = {}, ...inside) {
  const found = document.createElement(tag);
  for (const [k, v] of Object.entries(attributes)) if (v !== null) found.setAttribute(k, v);
  found.append(...inside);
  return found;
}

// Draw into `root`. `on.epoch` and `on.layer` hear of what the reader does. Returns what can be asked of it.
export function mount(root, film, {other = null, epoch = film.epochs.length - 1, on = {}} = {}) {
  let reel = frames(film), at = clamp(epoch, film), against = '', layer = -1, timer = null, drawn = new Map();
  const swatch = (look, name) => element('span', {}, element('i', {style: look}), name), compared = swatch('border-color:#CC79A7;border-width:2px', 'compared');
  const play = element('button', {type: 'button', class: 'play', 'aria-label': 'Play the search'}, '▶');
  const slider = element('input', {type: 'range', min: 0, step: 1, 'aria-label': 'Epoch'});
  const where = element('output', {class: 'where'}), compare = element('select', {'aria-label': 'Compare with'}), numbers = element('div', {class: 'numbers'});
  const svg = document.createElementNS(SVG, 'svg'), log = element('div', {class: 'log', 'aria-live': 'polite'}), key = element('div', {class: 'key', 'aria-hidden': 'true'});
  svg.setAttribute('role', 'img');
  root.classList.add('nwb-scrubber');
  for (const o of [play, slider, compare]) o.dataset.lmSuppressShortcuts = 'true';  // or JupyterLab takes the arrow keys for itself
  root.replaceChildren(element('div', {class: 'bar'}, play, slider, where, element('label', {}, 'compare with ', compare)), numbers, svg, key, log);

  const put = (tag, id, attributes, text) => {
    let o = drawn.get(id);
    if (!o) {
      o = document.createElementNS(SVG, tag);
      drawn.set(id, o);
      svg.append(o);
    }
    for (const [k, v] of Object.entries(attributes)) if (o.getAttribute(k) !== String(v)) o.setAttribute(k, v);
    if (tag === 'text') { if (o.textContent !== text) o.textContent = text; }
    else if (text) {
      if (!o.firstChild) o.append(document.createElementNS(SVG, 'title'));
      if (o.firstChild.textContent !== text) o.firstChild.textContent = text;
    }
    return o;
  };

  function stage() {  // What does not move: ground of the rows, names of rows and columns, legend, choices
    svg.replaceChildren();
    drawn = new Map();
    const {y, height} = rows(film), column = (100 - LEFT)/film.columns.length;
    svg.setAttribute('height', height);
    film.rows.forEach((_, l) => {
      const ground = put('rect', `row ${l}`, {class: 'row', x: 0, y: y[l], width: '100%', height: ROW, 'data-layer': l}, `layer ${l}`);
      ground.addEventListener('click', () => choose(l));
      put('text', `name ${l}`, {class: 'name', x: `${LEFT - 2}%`, y: y[l] + ROW/2}, String(l));
    });
    film.columns.forEach((name, c) => put('text', `column ${name}`, {class: 'column', x: `${LEFT + column*(c + MIDDLE)}%`, y: 9}, name));
    const kernels = [...new Set(film.columns.flatMap(o => /k(\d+)/.exec(o)?.[1] ?? []))];
    key.replaceChildren(...kernels.map(k => swatch(`background:${SHADES[k] ?? '#54278f'}`, `kernel ${k}`)), swatch('border-color:#D55E00;border-width:2.5px', 'SE'), swatch('background:#3182bd;opacity:.38', 'width open'),
      swatch('background:rgba(128,128,128,.14)', 'removed'), compared);
    const chosen = against;
    compare.replaceChildren(new Option('nothing', ''), ...(other ? [new Option(other.name || 'the other run', 'other')] : []), ...film.epochs.map(e => new Option(e ? `epoch ${e}` : 'the start', e)));
    compare.value = chosen;
    slider.max = film.epochs.length - 1;
  }

  function draw() {
    const frame = reel[at], end = other && frames(other), there = against === '' ? null : against === 'other' ? end[clamp(at, other)] : reel[clamp(against, film)];
    const seen = new Set(), e = film.epochs[at];
    compared.hidden = !there;
    for (const o of scene(film, frame, there)) {
      seen.add(o.key);
      if (o.role === 'chance') put('text', o.key, {class: 'chance', x: `${o.x}%`, y: o.y}, o.label);
      else put('rect', o.key, {class: o.role, x: `${o.x}%`, y: o.y, width: `${o.width}%`, height: o.height, fill: o.fill ?? 'none', 'fill-opacity': o.open ? .38 : 1, 'data-layer': o.layer}, o.text).onclick = () => choose(o.layer);
    }
    for (const [id, o] of drawn) if (/^\d/.test(id) && !seen.has(id)) { o.remove(); drawn.delete(id); }
    film.rows.forEach((_, l) => drawn.get(`row ${l}`).classList.toggle('chosen', l === layer));
    slider.value = at;
    slider.setAttribute('aria-valuetext', `epoch ${e} of ${film.total}`);
    where.textContent = `epoch ${e} of ${film.total}`;
    numbers.textContent = figures(film, at) || 'nothing has been trained yet';
    const news = film.words.filter(([when]) => when === e).map(([, text]) => text);
    const differ = there ? Object.values(differences(frame, there, film.columns)) : [];
    svg.setAttribute('aria-label', described(film, frame, e) + (there ? ` Compared: ${differ.join('; ') || 'the same'}.` : ''));
    log.textContent = timer ? '' : (there ? [`${differ.length || 'no'} difference${differ.length === 1 ? '' : 's'}`, ...differ.slice(0, 5), ...(differ.length > 5 ? ['…'] : [])] : news.length ? news : [e <= film.warmup && e ? 'warm-up: only weights are trained' : e ? 'nothing was removed in this epoch' : 'everything is there']).join(' · ');
  }

  function go(n) {
    const was = at;
    at = clamp(n, film);
    draw();
    if (was !== at) on.epoch?.(at);
  }
  function choose(l) {
    layer = layer === l ? -1 : l;
    draw();
    on.layer?.(layer);
  }
  function stop() {
    clearInterval(timer);
    timer = null;
    play.textContent = '▶';
    play.setAttribute('aria-label', 'Play the search');
    draw();
  }
  play.addEventListener('click', () => {
    if (timer) return stop();
    if (at === film.epochs.length - 1) go(0);
    timer = setInterval(() => at < film.epochs.length - 1 ? go(at + 1) : stop(), Math.max(60, Math.min(400, 15000/film.epochs.length)));
    play.textContent = '❚❚';
    play.setAttribute('aria-label', 'Pause');
  });
  slider.addEventListener('input', () => { if (timer) stop(); go(slider.value); });
  compare.addEventListener('change', () => { against = compare.value; draw(); });

  stage();
  draw();
  return {
    go, choose, stop,
    update(next, beside = other) {  // A longer film of the same run: who looks at the end stays at the end
      const end = at === film.epochs.length - 1;
      [film, other, reel] = [next, beside, frames(next)];
      stage();
      if (end) go(film.epochs.length - 1); else draw();
    },
  };
}

// The widget: the same thing on a model's traits.
function render({model, el}) {
  const root = element('div'), set = name => value => { model.set(name, value); model.save_changes(); };
  el.append(root);
  const shown = mount(root, model.get('film'), {other: model.get('other'), epoch: model.get('epoch'), on: {epoch: set('epoch'), layer: set('layer')}});
  model.on('change:film change:other', () => shown.update(model.get('film'), model.get('other')));
  model.on('change:epoch', () => shown.go(model.get('epoch')));
  return () => shown.stop();
}

export default {render};
