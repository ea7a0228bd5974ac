// Part of this book, unlike the other files here. The widget manager typesets labels through the
// queue of MathJax 2; hand its requests to the MathJax 3 of the page.
(() => {
  let mathjax = window.MathJax;
  const loaded = new Promise((resolve) => window.addEventListener("load", resolve));
  const Hub = {
    Queue: ([, , element]) =>
      loaded.then(() => mathjax.startup.promise).then(() => mathjax.typesetPromise([element])),
  };
  Object.defineProperty(window, "MathJax", {
    get: () => mathjax,
    set: (value) => {
      mathjax = Object.assign(value, { Hub });
    },
  });
  window.MathJax = mathjax || {};
})();
