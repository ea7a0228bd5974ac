// Filters of the ledger: two lists to choose from and a field for words. Without this script, the
// page shows all claims.
document.addEventListener("DOMContentLoaded", () => {
  const list = document.querySelector("ul.ledger");
  if (!list) return;
  const claims = [...list.children].map((item) => ({
    item,
    verdict: item.querySelector(".verdict").textContent,
    kind: [...item.classList].find((name) => name.startsWith("kind-")).slice(5),
    words: item.textContent.toLowerCase(),
  }));

  const form = document.createElement("form");
  form.className = "ledger-filter noprint";
  form.setAttribute("role", "search");
  form.setAttribute("aria-label", "Claims");

  function labeled(text, control) {
    const label = document.createElement("label");
    label.append(text, control);
    form.append(label);
    return control;
  }

  function choice(name) {
    const select = document.createElement("select");
    select.name = name;
    select.add(new Option(`all (${claims.length})`, ""));
    for (const value of new Set(claims.map((claim) => claim[name]))) {
      const count = claims.filter((claim) => claim[name] === value).length;
      select.add(new Option(`${value} (${count})`, value));
    }
    return labeled(name === "verdict" ? "Verdict " : "Kind ", select);
  }

  const controls = { verdict: choice("verdict"), kind: choice("kind") };
  const words = document.createElement("input");
  words.type = "search";
  labeled("Words ", words);
  const clear = document.createElement("button");
  clear.type = "reset";
  clear.textContent = "Show all";
  form.append(clear);
  const told = document.createElement("p");
  told.setAttribute("role", "status");
  form.append(told);

  function apply() {
    const wanted = words.value.trim().toLowerCase();
    let shown = 0;
    for (const claim of claims) {
      const fits = (name) => !controls[name].value || controls[name].value === claim[name];
      claim.item.hidden = !(fits("verdict") && fits("kind") && claim.words.includes(wanted));
      shown += !claim.item.hidden;
    }
    told.textContent = `${shown} of ${claims.length} claims`;
  }

  // A link to one claim shows it, whatever is filtered.
  function showTarget() {
    const target = location.hash && document.getElementById(location.hash.slice(1));
    if (!target || !list.contains(target) || !target.hidden) return;
    form.reset();
    apply();
    target.scrollIntoView();
  }

  form.addEventListener("input", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(apply));
  window.addEventListener("hashchange", showTarget);
  window.addEventListener("beforeprint", () => claims.forEach(({ item }) => (item.hidden = false)));
  window.addEventListener("afterprint", apply);
  list.setAttribute("role", "list"); // without bullets, some screen readers forget that it is one
  list.before(form);
  apply();
});
