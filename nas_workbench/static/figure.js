// anywidget gives a model two seconds to begin, and one that is late is never told of a change again; where a page is busy, Plotly alone
// takes longer. So the model begins at once, asks for Plotly, which a page is sent once, and then for the figure as it is by now.
// A figure that becomes another one, with axes of its own, is told whole and drawn from the beginning in the same place.

const HELD = Symbol.for('nas_workbench.plotly'), PATIENCE = 60_000;

// Ask the kernel for something; `heard` makes the result in the moment of its answer, so that nothing falls between.
const ask = (model, want, event, heard) => new Promise((resolve, reject) => {
  const off = () => { clearTimeout(late); model.off(event, hear); };
  const hear = (...answer) => { off(); resolve(heard(...answer)); };
  const late = setTimeout(() => { off(); reject(new Error(`the kernel gave no answer for ${PATIENCE/1000} s`)); }, PATIENCE);
  model.on(event, hear);
  model.send({want});
});

async function fetched(model) {
  const source = await ask(model, 'plotly', 'msg:custom', (_, buffers) => buffers[0]);
  const url = URL.createObjectURL(new Blob([source], {type: 'text/javascript'}));
  try { return await import(url); } finally { URL.revokeObjectURL(url); }
}

// The first figure of a page fetches it; where that one got no answer, the next tries again.
async function plotly(model, tries = 2) {
  const held = globalThis[HELD] ??= fetched(model);
  try { return await held; } catch (error) {
    if (globalThis[HELD] === held) delete globalThis[HELD];
    if (tries > 1) return plotly(model, tries - 1);
    throw error;
  }
}

// A model whose listeners go all at once: plotly leaves its own behind.
function lent(model) {
  const heard = [];
  const on = (event, does) => { heard.push([event, does]); model.on(event, does); };
  return [{on, get: name => model.get(name), set: (name, value) => model.set(name, value), save_changes: () => model.save_changes()}, () => heard.forEach(o => model.off(...o))];
}

// Draw the figure as the model has it; returns how to take it away.
function drawn(plotly, model, el) {
  const [own, leave] = lent(model), figure = plotly.default();
  figure.initialize({model: own});
  const end = figure.render({model: own, el});
  return () => { leave(); end(); };
}

export default () => {
  let begun;
  return {
    initialize({model}) {
      begun = plotly(model);
      begun.catch(() => {});
    },
    render({model, el}) {
      let over = false, end = null, draw = () => {};
      const anew = () => draw();
      model.on('change:_anew', anew);
      begun.then(o => ask(model, 'now', 'change:_now', () => { draw = () => { end?.(); if (!over) end = drawn(o, model, el); }; draw(); }))
        .catch(error => { el.textContent = `This figure cannot be drawn, ${error.message}: run the cell again.`; });
      return () => { over = true; model.off('change:_anew', anew); end?.(); };
    },
  };
};
