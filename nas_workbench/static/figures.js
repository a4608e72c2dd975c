// Draws plotly figures in the colours of the page around them; a figure stands as JSON in its place, or is handed to show().
const figures = (() => {
  const all = () => document.querySelectorAll('.plotly-figure');
  const dress = layout => {
    const ink = getComputedStyle(document.body).color, line = 'rgba(128,128,128,.35)', {width, ...out} = layout;
    Object.assign(out, {autosize: true, paper_bgcolor: 'rgba(0,0,0,0)', plot_bgcolor: 'rgba(0,0,0,0)', font: {...layout.font, color: ink}});
    for (const k of new Set(['xaxis', 'yaxis', ...Object.keys(layout).filter(k => /^[xy]axis/.test(k))]))
      out[k] = {gridcolor: line, linecolor: line, zerolinecolor: line, tickcolor: line, ...layout[k]};
    return out;
  };
  const show = (div, figure) => {
    div.figure = figure ?? div.figure ?? JSON.parse(div.querySelector('script').textContent);
    return Plotly.react(div, div.figure.data, dress(div.figure.layout || {}), {responsive: true, displaylogo: false, ...figures.config});
  };
  const drawn = () => all().forEach(div => div.figure && show(div));
  const start = () => {
    all().forEach(div => div.querySelector('script') && show(div));
    new MutationObserver(drawn).observe(document.body, {attributes: true, attributeFilter: ['data-theme']});
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', drawn);
  };
  return {show, start, config: {}};
})();
if (window.Plotly) document.readyState === 'loading' ? addEventListener('DOMContentLoaded', figures.start) : figures.start();
