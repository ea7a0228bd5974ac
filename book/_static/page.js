// Loaded by every page: names and values for sliders, and keyboard access to whatever scrolls.
(() => {
  // The widget manager gives a slider's handle no name, and its position as the value. The words
  // for both are beside it on the page.
  function describe(handle) {
    const widget = handle.closest(".widget-slider");
    const label = widget?.querySelector(".widget-label");
    const readout = widget?.querySelector(".widget-readout");
    if (!label || !readout) return;
    const tell = () => {
      const value = readout.textContent.trim();
      handle.setAttribute("aria-label", label.textContent.trim() || "value");
      if (handle.getAttribute("aria-valuetext") !== value) handle.setAttribute("aria-valuetext", value);
    };
    tell();
    const words = { childList: true, characterData: true, subtree: true };
    new MutationObserver(tell).observe(readout, words);
    new MutationObserver(tell).observe(handle, { attributeFilter: ["aria-valuetext"] });
  }

  function watchForSliders() {
    if (!document.querySelector('script[type="application/vnd.jupyter.widget-state+json"]')) return;
    const known = new WeakSet();
    new MutationObserver(() => {
      for (const handle of document.querySelectorAll(".noUi-handle")) {
        if (known.has(handle) || !handle.closest(".widget-slider")?.querySelector(".widget-label")) continue;
        known.add(handle);
        describe(handle);
      }
    }).observe(document.body, { childList: true, subtree: true });
  }

  const SCROLLERS =
    'article pre, article .cell_output, article .output, article .pst-scrollable-table-container, mjx-container[display="true"]';
  function reachScrollers() {
    for (const box of document.querySelectorAll(SCROLLERS)) {
      const scrolls = box.scrollWidth > box.clientWidth + 1 || box.scrollHeight > box.clientHeight + 1;
      if (scrolls && getComputedStyle(box).overflowX !== "visible") box.tabIndex = 0;
      else box.removeAttribute("tabindex");
    }
  }

  // Paper does not scroll: what is wider than a page of A4 or Letter is made smaller.
  const PAPER = 660; // CSS pixels between the margins
  const WIDE = 'article table, mjx-container[display="true"]';
  function fitToPaper() {
    for (const box of document.querySelectorAll(WIDE)) {
      if (box.scrollWidth > PAPER) box.style.zoom = PAPER / box.scrollWidth;
    }
  }
  window.addEventListener("beforeprint", fitToPaper);
  window.addEventListener("afterprint", () => {
    for (const box of document.querySelectorAll(WIDE)) box.style.zoom = "";
  });

  document.addEventListener("DOMContentLoaded", () => {
    watchForSliders();
    // On a wide screen the sidebar is no dialog, and the logo in it belongs to no landmark.
    const sidebar = document.getElementById("pst-primary-sidebar");
    sidebar?.setAttribute("role", "region");
    sidebar?.setAttribute("aria-label", "Book");
  });
  window.addEventListener("load", async () => {
    await window.MathJax?.startup?.promise;
    reachScrollers();
    new ResizeObserver(reachScrollers).observe(document.body);
  });
})();
