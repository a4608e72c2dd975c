// The page works without this script: figures are then told in words, and tables stand in their first order.
(() => {
  const $ = (o, where = document) => where.querySelector(o), $$ = (o, where = document) => [...where.querySelectorAll(o)];
  const text = async id => {  // what stands packed in the page: base64 of gzip
    const bytes = Uint8Array.from(atob($('#pack-' + id).textContent), c => c.charCodeAt(0));
    return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'))).text();
  };
  const once = f => { const kept = {}; return o => kept[o] ??= f(o); };
  const pack = once(async id => JSON.parse(await text(id)));
  const plotly = once(async id => {
    const script = document.createElement('script');
    script.textContent = await text(id);
    document.head.append(script);
    figures.config = {displayModeBar: 'hover', modeBarButtonsToRemove: ['select2d', 'lasso2d', 'autoScale2d'], toImageButtonOptions: {scale: 2}};
  });

  const apart = div => {  // of names that would lie over each other the first is shown; the others are told by the pointer and in words
    const kept = [];
    $$('.annotation', div).forEach(o => {
      o.style.visibility = '';
      const a = o.getBoundingClientRect(), over = b => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
      if (kept.some(over)) o.style.visibility = 'hidden'; else kept.push(a);
    });
  };
  const narrow = () => innerWidth < 640;
  const draw = async (div, n = 0) => {
    const [panels] = await Promise.all([pack(div.dataset.pack), plotly('plotly')]);
    const {house} = await pack('house'), frames = panels[div.dataset.figure], o = frames[n], figure = div.closest('figure');
    $$(':scope > p', div).forEach(o => o.remove());
    div.setAttribute('aria-label', o.alt);
    $('h3,h4,h5', figure).textContent = o.title;
    $('.words p', figure).textContent = o.alt;
    const layout = {...o.layout, template: house, dragmode: narrow() ? false : 'zoom'};
    if (narrow()) layout.margin = {...layout.margin, l: Math.min(layout.margin?.l ?? 56, 44), r: 8};
    await figures.show(div, {data: o.data, layout});
    apart(div);
    div.dataset.drawn = '';
  };
  let mounted;
  const mounting = new Promise(f => mounted = f);  // the scrubber is a module, which comes when the page is read
  window.scrubberReady = mounted;
  const roll = async div => { const [{film}, mount] = await Promise.all([pack(div.dataset.pack), mounting]); div.dataset.drawn = ''; mount(div, film); };
  const waiting = where => $$('[data-pack]:not([data-drawn])', where).filter(o => !o.closest('details:not([open])'));
  const drawAll = async where => { for (const o of waiting(where)) { await (o.matches('.film') ? roll(o) : draw(o)); await new Promise(f => setTimeout(f)); } };

  const steppers = () => $$('.step').forEach(step => {
    const input = $('input', step), labels = JSON.parse(step.dataset.labels), div = $('.plotly-figure', step.closest('figure'));
    let playing;
    const go = n => { input.value = n; $('output', step).textContent = labels[n]; input.setAttribute('aria-valuetext', labels[n]); return draw(div, n); };
    const stop = () => { clearInterval(playing); playing = undefined; $('button', step).textContent = 'Play'; };
    input.addEventListener('input', () => { stop(); go(+input.value); });
    $('button', step).addEventListener('click', () => {
      if (playing) return stop();
      if (+input.value === labels.length - 1) go(0);
      $('button', step).textContent = 'Stop';
      playing = setInterval(() => +input.value < labels.length - 1 ? go(+input.value + 1) : stop(), 450);
    });
  });

  const sortable = () => $$('table.sort').forEach(table => {
    const body = $('tbody', table), heads = $$('thead th', table);
    const key = (row, n) => { const o = row.children[n]; return o.dataset.value === undefined ? o.textContent.trim() : +o.dataset.value; };
    const less = (a, b) => Number.isNaN(a) ? 1 : Number.isNaN(b) ? -1 : typeof a === 'number' ? a - b : a.localeCompare(b, undefined, {numeric: true});
    heads.forEach((th, n) => {
      const button = document.createElement('button');
      button.type = 'button';
      button.append(...th.childNodes);
      th.append(button);
      button.addEventListener('click', () => {
        const down = th.getAttribute('aria-sort') === 'ascending', rows = $$(':scope > tr', body);
        heads.forEach(o => o.removeAttribute('aria-sort'));
        th.setAttribute('aria-sort', down ? 'descending' : 'ascending');
        rows.sort((a, b) => { const x = key(a, n), y = key(b, n), o = less(x, y); return down && !Number.isNaN(x) && !Number.isNaN(y) ? -o : o; });
        body.append(...rows);
      });
    });
  });

  const copying = () => $$('.command button').forEach(button => button.addEventListener('click', async () => {
    const pre = $('pre', button.parentNode);
    getSelection().selectAllChildren(pre);
    try { await navigator.clipboard.writeText(pre.textContent); button.textContent = 'Copied'; }
    catch { button.textContent = 'Selected'; }
    setTimeout(() => button.textContent = 'Copy', 1500);
  }));

  const following = () => {  // which section is being read
    const links = new Map($$('nav a').map(o => [o.hash.slice(1), o]));
    const seen = new IntersectionObserver(found => found.forEach(o => {
      if (!o.isIntersecting) return;
      links.forEach(a => a.removeAttribute('aria-current'));
      links.get(o.target.id)?.setAttribute('aria-current', 'true');
    }), {rootMargin: '-20% 0px -70% 0px'});
    $$('main > section').forEach(o => seen.observe(o));
  };

  const open = id => { const o = document.getElementById(id); o?.closest('details')?.setAttribute('open', ''); };
  const printing = on => {  // paper is white and 700 pixels wide
    document.documentElement.toggleAttribute('data-print', on);
    $$('.plotly-figure[data-drawn]').forEach(async o => { await figures.show(o); apart(o); });
  };

  addEventListener('DOMContentLoaded', async () => {
    sortable(); copying(); following();
    if (!window.DecompressionStream) return document.documentElement.setAttribute('data-words', '');
    steppers();
    $$('details').forEach(o => o.addEventListener('toggle', () => o.open && drawAll(o)));
    addEventListener('hashchange', () => open(location.hash.slice(1)));
    open(location.hash.slice(1));
    addEventListener('beforeprint', () => printing(true));
    addEventListener('afterprint', () => printing(false));
    figures.start();
    await drawAll(document);
    document.documentElement.setAttribute('data-ready', '');
  });
})();
