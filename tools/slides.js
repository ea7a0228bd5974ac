const slides = [...document.querySelectorAll(".slide")];
const steps = { ArrowRight: 1, ArrowDown: 1, PageDown: 1, " ": 1, ArrowLeft: -1, ArrowUp: -1, PageUp: -1 };
addEventListener("keydown", (event) => {
  const step = steps[event.key];
  if (!step || event.ctrlKey || event.metaKey || event.altKey) return;
  const here = slides.findIndex((slide) => slide.getBoundingClientRect().bottom > innerHeight / 2);
  const next = slides[Math.min(Math.max(here + step, 0), slides.length - 1)];
  event.preventDefault();
  next.scrollIntoView();
  next.focus({ preventScroll: true }); // a screen reader goes on from here
});
