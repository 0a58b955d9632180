// The concepts of a layer as cards: filtered, sorted, appended in portions while one scrolls.
document.addEventListener("DOMContentLoaded", async () => {
  const { lcrp } = window;
  const site = lcrp.data.site;
  const field = (id) => document.getElementById(id);
  const atlas = field("atlas"), more = field("more");
  const portion = 60;
  let layer = null, order = [], shown = 0;

  for (const [index] of Object.entries(site.classPages)) {
    field("class").append(new Option(site.classes[index], index));
  }

  const chosenClass = () => (field("class").value === "" ? null : Number(field("class").value));

  const leadingClasses = (concept) =>
    layer.classes
      .map((index) => [index, layer.relevanceOf(concept, index)])
      .filter(([, value]) => value > 0)
      .sort((a, b) => b[1] - a[1])
      .slice(0, 3);

  const card = (concept) => {
    const classIndex = chosenClass();
    const strip = layer.strip(concept, classIndex);
    const outside = layer.outsideOf(concept, classIndex);
    const relevance = layer.relevanceOf(concept, classIndex);
    const link = () => ({ href: lcrp.conceptLink(layer.layer, concept) });
    const text = lcrp.element("p", {}, `relevance ${lcrp.percent(relevance)} `,
      lcrp.bar(relevance, layer.largest), lcrp.element("br"), `outside the object ${lcrp.percent(outside)} `,
      outside === null ? null : lcrp.bar(outside), lcrp.element("br"));
    for (const [index] of leadingClasses(concept)) {
      text.append(lcrp.element("a", { href: `${lcrp.root}${site.classPages[index]}` }, site.classes[index]), " ");
    }
    return lcrp.element("article", { className: "card" },
      lcrp.element("h2", {}, lcrp.element("a", link(), `concept ${concept}`)),
      strip === null ? null : lcrp.element("a", { ...link(), tabIndex: -1 }, lcrp.element("img", {
        className: "strip", loading: "lazy", src: `${lcrp.root}${strip.file}`,
        width: site.tile * strip.tiles.length, height: site.tile,
        alt: `Reference images of concept ${concept}${strip.own ? ` for ${site.classes[classIndex]}` : ""}`,
      })),
      text);
  };

  const append = () => {
    atlas.append(...order.slice(shown, shown + portion).map(card));
    shown = Math.min(shown + portion, order.length);
    more.hidden = shown >= order.length;
    // Observed anew, it reports again even if it never left the view.
    end.unobserve(more.parentElement);
    if (!more.hidden) end.observe(more.parentElement);
  };

  const end = new IntersectionObserver((entries) => {
    if (entries.some((entry) => entry.isIntersecting) && shown < order.length) append();
  }, { rootMargin: "800px" });

  const arrange = () => {
    const classIndex = chosenClass();
    const least = Number(field("least").value) / 100;
    const wanted = field("search").value.trim().toLowerCase();
    field("least-shown").value = `${field("least").value} %`;
    const relevance = (concept) => layer.relevanceOf(concept, classIndex) ?? -Infinity;
    const outside = (concept) => layer.outsideOf(concept, classIndex);
    const named = (concept) =>
      /^\d+$/.test(wanted)
        ? String(concept).includes(wanted)
        : leadingClasses(concept).some(([index]) => site.classes[index].toLowerCase().includes(wanted));
    const kept = [...Array(layer.channels).keys()].filter((concept) =>
      (least === 0 || (outside(concept) ?? -1) >= least) && (wanted === "" || named(concept)));
    const unknownLast = (value, sign) => (value === null ? Infinity : sign * value);
    const keys = {
      relevance: (concept) => -relevance(concept),
      outside: (concept) => unknownLast(outside(concept), -1),
      inside: (concept) => unknownLast(outside(concept), 1),
      concept: (concept) => concept,
    };
    const key = keys[field("sort").value];
    order = kept.map((concept) => [key(concept), concept])
      .sort((a, b) => a[0] - b[0] || a[1] - b[1]).map(([, concept]) => concept);
    layer.largest = Math.max(0, ...kept.map(relevance));
    atlas.replaceChildren();
    shown = 0;
    append();
    const among = classIndex === null ? "" : ` for ${site.classes[classIndex]}`;
    field("found").textContent = `${order.length} of ${layer.channels} concepts of ${layer.layer}${among}`;
  };

  const remember = () => {
    const state = { layer: field("layer").value, class: field("class").value, sort: field("sort").value };
    history.replaceState(null, "", `#${new URLSearchParams(state)}`);
  };

  const load = async () => {
    layer = await lcrp.layer(field("layer").value);
    arrange();
  };

  const start = lcrp.hash();
  if (site.layers.includes(start.layer)) field("layer").value = start.layer;
  if (start.class && site.classPages[start.class]) field("class").value = start.class;
  if (start.sort) field("sort").value = start.sort;
  if (!field("sort").value) field("sort").value = "relevance";

  field("layer").addEventListener("change", () => { remember(); load(); });
  for (const id of ["class", "sort"]) field(id).addEventListener("change", () => { remember(); arrange(); });
  for (const id of ["least", "search"]) field(id).addEventListener("input", arrange);
  field("filters").addEventListener("submit", (event) => event.preventDefault());
  more.addEventListener("click", append);
  if (site.layers.length) await load();
});
