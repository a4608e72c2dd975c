// Plotly asks for its width when it begins to draw and when the window changes, and at neither moment has its place in a
// notebook found its own. This element, put beside a figure, tells the figure whenever the two are not the same.

export const unfit = (plot, svg) => plot.clientWidth > 0 && Math.abs(plot.clientWidth - Number(svg.getAttribute('width'))) > 1;

function render({el}) {
  const told = new WeakMap();  // by drawing, the last width: once is enough, whatever comes of it
  let place = null, next = 0;
  const look = () => {
    next = 0;
    for (const plot of place.querySelectorAll('.js-plotly-plot')) {
      const svg = plot.querySelector('.main-svg');
      if (!svg || !unfit(plot, svg) || told.get(svg) === plot.clientWidth) continue;
      told.set(svg, plot.clientWidth);
      window.dispatchEvent(new Event('resize'));
      return;
    }
  };
  const soon = () => { next ||= requestAnimationFrame(look); };
  const drawn = new MutationObserver(soon);
  const sized = new ResizeObserver(() => {
    if (!place && (place = el.closest('.nwb-pane'))) drawn.observe(place, {childList: true, subtree: true});
    if (place) soon();
  });
  sized.observe(el);
  return () => { sized.disconnect(); drawn.disconnect(); cancelAnimationFrame(next); };
}

export default {render};
