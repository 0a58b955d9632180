// The page of one class and one thing beside it, named by the hash: #class=...&thing=...
document.addEventListener("DOMContentLoaded", () => {
  const { lcrp } = window;
  const site = lcrp.data.site;
  const field = (id) => document.getElementById(id);
  const tables = {};

  const refuse = (problem) => {
    field("problem").textContent = problem;
    field("problem").hidden = false;
    field("pair").hidden = true;
  };

  // Rows of a context table as objects, and its columns; none where the report has no such table.
  const table = async (name) => {
    if (!site.tables[name]) return { columns: [], rows: [], objects: [] };
    const { columns, rows } = await lcrp.load(`table-${name}`);
    const objects = rows.map((row) => Object.fromEntries(columns.map((column, n) => [column.name, row[n]])));
    return { columns, rows, objects };
  };

  const fill = (id, data) => {
    tables[id]?.destroy();
    field(id).querySelectorAll("thead, tbody").forEach((part) => part.remove());
    tables[id] = lcrp.dataTable(field(id), data);
  };

  const figure = (name, value) =>
    lcrp.element("div", {}, lcrp.element("dt", {}, name), lcrp.element("dd", {}, value));

  const known = (value) => value !== null && value !== undefined;

  const verdict = (row, name, thing) => {
    const share = known(row?.share) ? `${lcrp.percent(row.share)} of the relevance of ${name} lies on ${thing}. ` : "";
    if (!known(row?.effect)) return `${share}What the model does without it was not tested.`;
    const effect = `Without it, the probability of ${name} falls by ${lcrp.percent(row.effect)}`
      + (known(row.control) ? `, in the control by ${lcrp.percent(row.control)}` : "");
    return `${share}${effect}: ${row.confirmed ? "confirmed, the model needs it." : "not confirmed."}`;
  };

  // The numbers of a pair as boxes: each estimate with its interval.
  const numbers = (row) => {
    const between = (low, high) => (known(row[low]) && known(row[high])
      ? lcrp.element("small", {}, ` ${lcrp.percent(row[low])} to ${lcrp.percent(row[high])}`) : "");
    const boxes = [
      ["images with both", "images", String], ["share of the relevance", "share", lcrp.percent, between("low", "high")],
      ["expected by chance", "expected", lcrp.percent], ["lift", "lift", (value) => Number(value.toPrecision(3))],
      ["effect", "effect", lcrp.percent, between("effect_low", "effect_high")], ["control", "control", lcrp.percent],
      ["p, adjusted", "p_adjusted", (value) => Number(value.toPrecision(2))],
    ].filter(([, name]) => known(row[name])).map(([heading, name, words, more = ""]) => {
      const made = figure(heading, words(row[name]));
      made.lastChild.append(more);
      return made;
    });
    if (row.note) boxes.push(figure("note", lcrp.element("small", {}, row.note)));
    return boxes;
  };

  // Columns that say something about rows of one class and thing, and their cells.
  const told = (columns, rows) => {
    const kept = [...columns.keys()].filter((n) =>
      !["class", "thing"].includes(columns[n].name) && rows.some((row) => known(row[n])));
    return { columns: kept.map((n) => columns[n]), rows: rows.map((row) => kept.map((n) => row[n])) };
  };

  const example = (shown) => {
    const picture = (name, place) => lcrp.element("span", {}, lcrp.element("img", {
      loading: "lazy", src: `${lcrp.root}${shown[name].file}`, width: shown[name].size[0], height: shown[name].size[1],
      alt: `image ${shown.image ?? ""} ${name} the intervention`,
    }), known(shown.probabilities[place]) ? `${name}: ${lcrp.percent(shown.probabilities[place])}` : name);
    return lcrp.element("figure", { className: "card pair" }, picture("before", 0), picture("after", 1),
      lcrp.element("figcaption", {}, [shown.image && `image ${shown.image}`, shown.intervention].filter(Boolean).join(", ")));
  };

  // Places of the class's targets whose image has the thing as well; all where the thing is no class.
  const behind = (targets, index, thing) => {
    const other = site.classes.indexOf(thing);
    const places = [...targets.class.keys()];
    const ofClass = places.filter((n) => targets.class[n] === index);
    if (other < 0) return ofClass;
    const there = new Set(places.filter((n) => targets.class[n] === other).map((n) => targets.image[n]));
    const annotated = new Set(targets.paired.filter((_, k) => targets.thing[k] === other));
    return ofClass.filter((n) => annotated.has(n) || there.has(targets.image[n]));
  };

  const images = (targets, places, name, index) => {
    const drawn = new Map(site.explanations.filter((other) => other.class === index).map((other) => [other.image, other]));
    const rows = places.map((n) => [
      targets.images[targets.image[n]],
      targets.score[n] === null ? null : targets.score[n] * site.shareUnit,
      targets.share[n] === null ? null : targets.share[n] * site.shareUnit,
      drawn.has(targets.images[targets.image[n]]),
    ]).sort((a, b) => (b[2] ?? -1) - (a[2] ?? -1));
    const column = (heading, kind, about = "") => ({ name: heading, heading, kind, about });
    fill("images", {
      of: name,
      columns: [column("image", "image"), column("score", "number"),
        column("outside the object", "share", "Share of the relevance of all layers"),
        column("explained", "flag", "Whether this report shows the explanation")],
      rows,
    });
    const request = `results/${site.experiment}/explanations/<image>/${site.fileNames[index]}.png`;
    field("counted").replaceChildren(`${places.length} predictions. Any of them is drawn by its file name: `,
      lcrp.element("code", {}, request));
    const cards = [...new Set(places.map((n) => targets.images[targets.image[n]]))]
      .filter((image) => drawn.has(image)).slice(0, 24).map((image) => lcrp.explanationCard(drawn.get(image)));
    field("shown-section").hidden = !cards.length;
    field("shown").replaceChildren(...cards);
  };

  const show = async () => {
    const { class: name = "", thing = "" } = lcrp.hash();
    const index = site.classes.indexOf(name);
    if (!site.classPages[index]) {
      refuse(name ? `No class ${name} was explained; the explained ones are on the page Classes.`
        : "No class is named in the address of this page.");
      return;
    }
    const [pairs, effects, targets] = [await table("pairs"), await table("effects"), await lcrp.load("targets")];
    const row = pairs.objects.find((other) => other.class === name && other.thing === thing);
    document.title = `${name} and ${thing}`;
    field("heading").replaceChildren(
      lcrp.element("a", { href: `${lcrp.root}${site.classPages[index]}` }, name), ` and ${thing}`);
    field("verdict").textContent = verdict(row, name, thing);
    field("figures").replaceChildren(...numbers(row ?? {}));
    const examples = site.examples[`${name}\n${thing}`] ?? [];
    field("examples-section").hidden = !examples.length;
    field("examples").replaceChildren(...examples.map(example));
    const tried = effects.objects.map((other, n) => [other, effects.rows[n]])
      .filter(([other]) => other.class === name && other.thing === thing).map(([, cells]) => cells);
    field("effects-section").hidden = !tried.length;
    if (tried.length) fill("effects", told(effects.columns, tried));
    images(targets, behind(targets, index, thing), name, index);
    field("problem").hidden = true;
    field("pair").hidden = false;
  };

  window.addEventListener("hashchange", () => { show(); window.scrollTo(0, 0); });
  show();
});
