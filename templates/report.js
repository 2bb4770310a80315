(() => {
  "use strict";
  const controls = document.getElementById("controls");
  const [filter, least, order, shown] = ["filter", "least", "order", "shown"].map((id) => document.getElementById(id));
  const findings = [...document.querySelectorAll("details.finding")];
  if (findings.length === 0) return;
  const texts = new Map();
  const text = (finding) => {
    if (!texts.has(finding)) texts.set(finding, finding.textContent.toLowerCase());
    return texts.get(finding);
  };
  const orders = {
    weight: (a, b) => b.dataset.weight - a.dataset.weight || b.dataset.seen.localeCompare(a.dataset.seen),
    seen: (a, b) => b.dataset.seen.localeCompare(a.dataset.seen) || b.dataset.weight - a.dataset.weight,
    detector: (a, b) => a.dataset.detector.localeCompare(b.dataset.detector) || b.dataset.weight - a.dataset.weight,
  };
  const select = () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const finding of findings) {
      const fits = finding.dataset.weight >= Number(least.value) && words.every((word) => text(finding).includes(word));
      finding.hidden = !fits;
      if (fits) count += 1;
    }
    shown.textContent = count === findings.length ? "" : `${count} of ${findings.length} findings`;
  };
  const sort = () => {
    for (const list of document.querySelectorAll(".list")) {
      list.append(...[...list.querySelectorAll(":scope > details")].sort(orders[order.value]));
    }
  };
  let later;
  filter.addEventListener("input", () => { clearTimeout(later); later = setTimeout(select, 120); });
  least.addEventListener("change", select);
  order.addEventListener("change", sort);
  const follow = () => {
    const target = location.hash && document.getElementById(location.hash.slice(1));
    if (target && target.matches("details.finding")) target.open = true;
  };
  addEventListener("hashchange", follow);
  follow();
  controls.hidden = false;
})();
