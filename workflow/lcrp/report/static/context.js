// The tables of the context page, the class-by-thing matrix and the plot of concepts.
document.addEventListener("DOMContentLoaded", async () => {
  const { lcrp } = window;
  const site = lcrp.data.site;
  const field = (id) => document.getElementById(id);

  let seen = false; // the plot's library is large: it waits until the plot comes into view

  const fill = async (element, file) => {
    const data = await lcrp.load(file);
    if (element.api) {
      element.api.destroy();
      element.querySelectorAll("thead, tbody").forEach((part) => part.remove());
    }
    element.api = lcrp.dataTable(element, data);
  };

  // A table is loaded when it comes into view: that of the concepts can be long.
  const filled = new IntersectionObserver((entries) => {
    for (const entry of entries.filter((other) => other.isIntersecting)) {
      filled.unobserve(entry.target);
      const element = entry.target.querySelector("table");
      const known = site.tables[element.dataset.table];
      const choice = document.querySelector(`[data-layer-of="${element.dataset.table}"]`);
      const show = () => fill(element, known.files ? known.files[choice.value] : `table-${element.dataset.table}`);
      choice?.addEventListener("change", show);
      show();
    }
  }, { rootMargin: "600px" });
  for (const element of document.querySelectorAll(".awaited")) filled.observe(element);

  const plotted = async () => {
    if (!seen) return;
    await lcrp.script("lib/plotly.js");
    const layer = await lcrp.layer(field("layer").value);
    const chosen = field("class").value === "" ? null : Number(field("class").value);
    const concepts = [...Array(layer.channels).keys()].filter((concept) =>
      layer.outsideOf(concept, chosen) !== null && layer.relevanceOf(concept, chosen) > 0);
    const style = getComputedStyle(document.documentElement);
    const ink = style.getPropertyValue("--ink").trim(), line = style.getPropertyValue("--line").trim();
    const axis = { gridcolor: line, zerolinecolor: line, linecolor: ink, automargin: true };
    await window.Plotly.react("plot", [{
      // WebGL starts slowly, and not everywhere: only where there are many points.
      type: concepts.length > 3000 ? "scattergl" : "scatter", mode: "markers",
      x: concepts.map((concept) => 100 * layer.relevanceOf(concept, chosen)),
      y: concepts.map((concept) => 100 * layer.outsideOf(concept, chosen)),
      customdata: concepts,
      hovertemplate: "concept %{customdata}<br>relevance %{x:.2f} %<br>outside %{y:.0f} %<extra></extra>",
      marker: { color: style.getPropertyValue("--mark").trim(), size: 8, opacity: 0.75 },
    }], {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { color: ink, size: 13 },
      margin: { l: 60, r: 12, t: 12, b: 50 },
      xaxis: { ...axis, title: { text: "mean relevance, %" }, rangemode: "tozero" },
      yaxis: { ...axis, title: { text: "outside the object, %" }, range: [-3, 103] },
    }, { responsive: true, displaylogo: false, modeBarButtonsToRemove: ["lasso2d", "select2d"] });
    field("plot").layerShown = layer.layer;
  };

  const matrix = async () => {
    const place = field("matrix");
    if (!place) return;
    const { columns, rows } = await lcrp.load("table-pairs");
    const at = (name) => columns.findIndex((column) => column.name === name);
    const [ofClass, ofThing, confirmed] = [at("class"), at("thing"), at("confirmed")];
    const kinds = [
      ["share", "share of the relevance"], ["lift", "lift over chance"], ["effect", "effect"],
      ["difference", "effect beyond the control"], ["images", "images with both"],
    ].filter(([name]) => at(name) >= 0);
    if (ofClass < 0 || ofThing < 0 || !kinds.length) return;
    field("matrix-shows").append(...kinds.map(([name, words]) => new Option(words, name)));
    const count = new Map();
    for (const row of rows) count.set(row[ofThing], (count.get(row[ofThing]) ?? 0) + 1);
    const things = [...count.keys()].sort((a, b) => count.get(b) - count.get(a) || a.localeCompare(b));
    const classes = [...new Set(rows.map((row) => row[ofClass]))];
    const byPair = new Map(rows.map((row) => [`${row[ofClass]}\n${row[ofThing]}`, row]));

    const show = () => {
      const column = at(field("matrix-shows").value);
      const share = columns[column].kind === "share";
      const known = rows.map((row) => row[column]).filter((value) => value !== null);
      const largest = share ? 1 : Math.max(...known, 1e-9);
      const words = (value) => (share ? lcrp.percent(value) : String(Number(value.toPrecision(3))));
      const head = lcrp.element("tr", {}, lcrp.element("th", { scope: "col" }, "class"),
        ...things.map((thing) => lcrp.element("th", { scope: "col" }, thing)));
      const body = classes.map((name) => {
        const page = site.classPages[site.classes.indexOf(name)];
        const label = page ? lcrp.element("a", { href: page }, name) : name;
        return lcrp.element("tr", {}, lcrp.element("th", { scope: "row" }, label), ...things.map((thing) => {
          const row = byPair.get(`${name}\n${thing}`);
          const value = row?.[column] ?? null;
          const made = lcrp.element("td", { className: "number shade" });
          made.style.setProperty("--share", String(Math.max(0, (value ?? 0) / largest)));
          if (!row) return made;
          made.append(lcrp.element("a", { href: lcrp.pairLink(name, thing) }, value === null ? "–" : words(value)));
          if (row[confirmed]) made.append(" ", lcrp.element("span", { className: "sign" }, "confirmed"));
          return made;
        }));
      });
      place.replaceChildren(lcrp.element("table", { className: "data matrix" },
        lcrp.element("caption", { className: "hidden" }, "Class by thing"),
        lcrp.element("thead", {}, head), lcrp.element("tbody", {}, ...body)));
    };
    field("matrix-shows").addEventListener("change", show);
    show();
  };

  for (const [index] of Object.entries(site.classPages)) {
    field("class").append(new Option(site.classes[index], index));
  }
  for (const id of ["layer", "class"]) field(id).addEventListener("change", plotted);
  document.addEventListener("lcrp-theme", plotted);
  new IntersectionObserver(async (entries, observer) => {
    if (!entries.some((entry) => entry.isIntersecting) || !site.layers.length) return;
    observer.disconnect();
    seen = true;
    await plotted();
    field("plot").on("plotly_click", (event) => {
      location.href = lcrp.conceptLink(field("plot").layerShown, event.points[0].customdata);
    });
  }, { rootMargin: "300px" }).observe(field("plot"));
  await matrix();
});
