// The page of one concept, named by the hash: #layer=...&concept=...
document.addEventListener("DOMContentLoaded", () => {
  const { lcrp } = window;
  const site = lcrp.data.site;
  const field = (id) => document.getElementById(id);
  let used = null;

  const refuse = (problem) => {
    field("problem").textContent = problem;
    field("problem").hidden = false;
    field("concept").hidden = true;
    field("heading").textContent = "Concept";
  };

  const figure = (name, value) =>
    lcrp.element("div", {}, lcrp.element("dt", {}, name), lcrp.element("dd", {}, value));

  // The tiles of a strip one by one, each leading to its explanation where there is one.
  const tiles = (strip, concept) => {
    const row = lcrp.element("div", { className: "tiles" });
    strip.tiles.forEach(([image, target], place) => {
      const picture = lcrp.element("img", {
        loading: "lazy", src: `${lcrp.root}${strip.file}`, width: site.tile, height: site.tile,
        alt: `${target.replaceAll("_", " ")} in image ${image}`, title: `${target} in ${image}`,
      });
      picture.style.width = `${site.tile}px`;
      picture.style.height = `${site.tile}px`;
      picture.style.objectPosition = `-${place * site.tile}px 0`;
      const shown = site.explanations.find((other) => other.image === image && other.target === target)
        ?? site.explanations.find((other) => other.image === image);
      row.append(shown
        ? lcrp.element("a", { className: "tile", href: `${lcrp.root}${shown.page}` }, picture)
        : lcrp.element("span", { className: "tile" }, picture));
    });
    return row;
  };

  const references = (layer, concept) => {
    const parts = [];
    const all = layer.strip(concept);
    if (all) parts.push(lcrp.element("h3", {}, "Over all classes"), tiles(all, concept));
    for (const index of layer.classes) {
      const strip = layer.strip(concept, index);
      if (strip?.own) {
        parts.push(lcrp.element("h3", {},
          lcrp.element("a", { href: `${lcrp.root}${site.classPages[index]}` }, site.classes[index])),
        tiles(strip, concept));
      }
    }
    if (!parts.length) {
      parts.push(lcrp.element("p", { className: "quiet" },
        "No reference images were drawn for this concept: others matter more to this layer's predictions."));
    }
    field("references").replaceChildren(...parts);
  };

  const users = (layer, concept) => {
    const rows = layer.classes
      .map((index, place) => [
        site.classes[index], layer.targets[place], layer.relevanceOf(concept, index), layer.outsideOf(concept, index),
      ])
      .sort((a, b) => b[2] - a[2])
      .map(([name, targets, relevance, outside]) => [
        name, targets, relevance, outside,
      ]);
    if (used) used.destroy();
    field("used").querySelectorAll("thead, tbody").forEach((part) => part.remove());
    used = lcrp.dataTable(field("used"), {
      columns: [
        { heading: "class", kind: "class", about: "" }, { heading: "targets", kind: "whole", about: "" },
        { heading: "mean relevance", kind: "share", about: "Share of the layer's absolute relevance" },
        { heading: "outside the object", kind: "share", about: "Of the concept's relevance for the class" },
      ],
      rows,
    });
  };

  const seen = (layer, concept) => {
    const cards = (layer.shown[concept] ?? []).map((number) => lcrp.explanationCard(site.explanations[number]));
    field("seen").replaceChildren(...(cards.length ? cards : [
      lcrp.element("p", { className: "quiet" }, "None of the drawn explanations does."),
    ]));
  };

  const show = async () => {
    const wanted = lcrp.hash();
    const name = wanted.layer ?? site.layer;
    let layer;
    try {
      layer = await lcrp.layer(name);
    } catch (problem) {
      refuse(`${problem.message}.`);
      return;
    }
    const concept = Number(wanted.concept ?? 0);
    if (!Number.isInteger(concept) || concept < 0 || concept >= layer.channels) {
      refuse(`Layer ${name} has no concept ${wanted.concept}; its concepts run from 0 to ${layer.channels - 1}.`);
      return;
    }
    const ranked = [...Array(layer.channels).keys()].sort((a, b) => layer.relevanceOf(b) - layer.relevanceOf(a));
    const place = ranked.indexOf(concept);
    document.title = `Concept ${concept} of ${name}`;
    field("heading").replaceChildren(`Concept ${concept} `,
      lcrp.element("span", { className: "quiet" }, `of ${name}`));
    field("back").href = `concepts.html#${new URLSearchParams({ layer: name })}`;
    field("figures").replaceChildren(
      figure("rank by relevance", `${place + 1} of ${layer.channels}`),
      figure("mean relevance", lcrp.percent(layer.relevanceOf(concept))),
      figure("outside the object", lcrp.percent(layer.outsideOf(concept))));
    references(layer, concept);
    users(layer, concept);
    seen(layer, concept);
    for (const [id, other] of [["previous", ranked[place - 1]], ["next", ranked[place + 1]]]) {
      field(id).hidden = other === undefined;
      if (other !== undefined) field(id).href = lcrp.conceptLink(name, other);
    }
    field("problem").hidden = true;
    field("concept").hidden = false;
  };

  window.addEventListener("hashchange", () => { show(); window.scrollTo(0, 0); });
  show();
});
