// What every page uses: theme button, tables, data files loaded on demand, small elements.
(() => {
  const lcrp = window.lcrp;
  const loading = {};

  // Loads a script of the report once.
  lcrp.script = (file) => {
    loading[file] ??= new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = `${lcrp.root}${file}`;
      script.onload = resolve;
      script.onerror = () => reject(new Error(`${file} is missing`));
      document.head.append(script);
    });
    return loading[file];
  };

  // Loads data/<name>.js once and resolves with its value.
  lcrp.load = async (name) => {
    if (lcrp.data[name] === undefined) await lcrp.script(`data/${encodeURIComponent(name)}.js`);
    return lcrp.data[name];
  };

  // An element with properties, attributes (in `attributes`) and children.
  lcrp.element = (tag, properties = {}, ...children) => {
    const { attributes = {}, ...rest } = properties;
    const made = Object.assign(document.createElement(tag), rest);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...children.filter((child) => child !== null));
    return made;
  };

  // A share for people, as the pages write it: 41 %, 4.1 %, 0.04 %.
  lcrp.percent = (value) => {
    if (value === null || value === undefined || Number.isNaN(value)) return "–";
    const share = value * 100;
    const size = Math.abs(share);
    const digits = size >= 10 || share === 0 ? 0 : size >= 0.1 ? 1 : 2;
    return `${share.toFixed(digits)} %`.replace("-", "−");
  };

  lcrp.bar = (value, largest = 1) => {
    const part = lcrp.element("span");
    const share = largest > 0 ? Math.min(Math.max(value / largest, 0), 1) : 0;
    part.style.width = `${(100 * share).toFixed(1)}%`;
    return lcrp.element("span", { className: "bar", attributes: { "aria-hidden": "true" } }, part);
  };

  lcrp.conceptLink = (layer, concept) =>
    `${lcrp.root}concept.html#${new URLSearchParams({ layer, concept })}`;

  lcrp.pairLink = (name, thing) =>
    `${lcrp.root}pair.html#${new URLSearchParams({ class: name, thing })}`;

  // Card of an explanation of the site data.
  lcrp.explanationCard = (shown) => {
    const name = lcrp.data.site.classes[shown.class];
    return lcrp.element("article", { className: "card" },
      lcrp.element("a", { className: "picture", href: `${lcrp.root}${shown.page}` }, lcrp.element("img", {
        loading: "lazy", src: `${lcrp.root}${shown.thumbnail}`, width: shown.size[0], height: shown.size[1],
        alt: `${name} in image ${shown.image}: input and heatmap`,
      })),
      lcrp.element("h3", {}, lcrp.element("a", { href: `${lcrp.root}${shown.page}` }, name)),
      lcrp.element("p", {}, `image ${shown.image}`));
  };

  lcrp.hash = () => Object.fromEntries(new URLSearchParams(location.hash.slice(1)));

  // A layer's data with its numbers in plain units. Row -1 of the classes means all of them.
  lcrp.layer = async (name) => {
    const site = lcrp.data.site;
    const file = site.layerFiles[name];
    if (!file) throw new Error(`there is no layer ${name}; there are ${site.layers.join(", ")}`);
    const data = await lcrp.load(file);
    const row = (classIndex) =>
      classIndex === null ? data.classes.length : data.classes.indexOf(classIndex);
    const scaled = (table, unit) => (concept, classIndex = null) => {
      const value = table[row(classIndex)]?.[concept];
      return value === null || value === undefined ? null : value * unit;
    };
    return {
      ...data,
      relevanceOf: scaled(data.relevance, site.relevanceUnit),
      outsideOf: scaled(data.outside, site.shareUnit),
      strip: (concept, classIndex = null) => {
        const names = classIndex === null ? [`${concept}`] : [`${concept}-${classIndex}`, `${concept}`];
        const found = names.find((candidate) => data.strips[candidate]);
        return found
          ? { file: `${data.folder}/${found}.webp`, tiles: data.strips[found], own: found.includes("-") }
          : null;
      },
    };
  };

  const text = (value) => document.createTextNode(value).textContent
    .replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/"/g, "&quot;");

  const number = (value) => {
    if (value === null) return "–";
    if (Number.isInteger(value)) return String(value);
    return String(Number(value.toPrecision(3)));
  };

  // How DataTables shows a column of a data file; numbers sort by their value.
  const cell = (columns, of) => (column) => {
    const place = (name) => columns.findIndex((other) => other.name === name);
    const layer = place(column.layer), named = place("class");
    const kind = column.kind;
    return (value, type, row) => {
      if (type === "sort" || type === "type") return value === null ? -Infinity : value;
      if (type === "filter") return value === null ? "" : value;
      if (value === null) return "–";
      if (kind === "class") {
        const page = lcrp.data.site.classPages[lcrp.data.site.classes.indexOf(value)];
        return page ? `<a href="${lcrp.root}${text(page)}">${text(value)}</a>` : text(value);
      }
      if (kind === "thing" && named >= 0) {
        return `<a href="${text(lcrp.pairLink(row[named], value))}">${text(value)}</a>`;
      }
      if (kind === "image") {
        const wanted = lcrp.data.site.classes.indexOf(named < 0 ? of : row[named]);
        const there = lcrp.data.site.explanations.filter((other) => other.image === value);
        const shown = there.find((other) => other.class === wanted) ?? there[0];
        return shown ? `<a href="${lcrp.root}${text(shown.page)}">${text(value)}</a>` : text(value);
      }
      if (kind === "concept" && layer >= 0) {
        return `<a href="${text(lcrp.conceptLink(row[layer], value))}">${value}</a>`;
      }
      if (kind === "flag") return value ? "yes" : "no";
      if (kind === "share") return lcrp.percent(value);
      return kind === "number" || kind === "whole" ? number(value) : text(String(value));
    };
  };

  // One filter field per column: words for text, a least value for numbers.
  const filterRow = (api, columns) => {
    const row = lcrp.element("tr");
    columns.forEach((column, place) => {
      const numeric = isNumeric(column);
      const unit = column.kind === "share" ? 0.01 : 1;
      const field = lcrp.element("input", {
        type: "search",
        placeholder: column.kind === "share" ? "at least %" : numeric ? "at least" : "filter",
        ariaLabel: `${column.heading}: ${numeric ? "at least" : "contains"}`,
      });
      let waiting = null;
      // Long tables are filtered when the typing pauses, not at every key.
      field.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(filter, 120); });
      const filter = () => {
        const wanted = field.value.trim().toLowerCase();
        const least = unit * Number(wanted.replace(",", ".").replace("%", ""));
        const matches = (value) =>
          numeric ? value !== "" && Number(value) >= least : String(value).toLowerCase().includes(wanted);
        api.column(place).search.fixed("field", wanted === "" ? null : matches).draw();
      };
      row.append(lcrp.element("td", { attributes: { "data-name": column.name ?? "" } }, field));
    });
    const arrange = () => columns.forEach((_, place) => {
      row.cells[place].hidden = !api.column(place).visible();
    });
    api.on("column-visibility", arrange);
    api.table().header().append(row);
    arrange();
  };

  const isNumeric = (column) => ["number", "whole", "share"].includes(column.kind);

  const words = {
    search: "Search", lengthMenu: "_MENU_ rows per page", info: "_START_ to _END_ of _TOTAL_",
    infoEmpty: "no rows", infoFiltered: "(of _MAX_)", zeroRecords: "Nothing matches.",
    emptyTable: "No rows.",
  };

  // A table of a data file; columns with `aside` wait behind the button Columns. data.of: the class
  // that all rows are about, where no column says so.
  lcrp.dataTable = (table, data) => {
    const many = data.rows.length > 10;
    const hidden = data.columns.some((column) => column.aside);
    const buttons = hidden ? { buttons: [{ extend: "colvis", text: "Columns" }] } : null;
    const render = cell(data.columns, data.of);
    const api = new window.jQuery.fn.dataTable(table, {
      data: data.rows,
      columns: data.columns.map((column) => ({
        title: column.about
          ? `<span title="${text(column.about)}">${text(column.heading)}</span>`
          : text(column.heading),
        render: render(column),
        className: isNumeric(column) ? "number" : column.kind === "text" ? "words" : "",
        type: isNumeric(column) ? "num" : "string",
        visible: !column.aside,
      })),
      deferRender: true, autoWidth: false, pageLength: 25, order: [], language: words,
      orderCellsTop: true, titleRow: 0,
      paging: many, searching: many, info: many,
      layout: { top1Start: buttons },
    });
    if (many) filterRow(api, data.columns);
    return api;
  };

  const themeButton = () => {
    const button = document.getElementById("theme");
    const show = () => {
      const dark = document.documentElement.classList.contains("dark");
      button.textContent = dark ? "Light" : "Dark";
      button.setAttribute("aria-label", `${button.textContent} colours`);
    };
    button.addEventListener("click", () => {
      const dark = document.documentElement.classList.toggle("dark");
      try { localStorage.setItem("lcrp-theme", dark ? "dark" : "light"); } catch { /* kept for this page */ }
      show();
      document.dispatchEvent(new Event("lcrp-theme"));
    });
    show();
  };

  document.addEventListener("DOMContentLoaded", () => {
    themeButton();
    for (const table of document.querySelectorAll("table.sortable")) {
      const many = table.tBodies[0].rows.length > 25;
      new window.jQuery.fn.dataTable(table, {
        paging: many, searching: many, info: many, autoWidth: false, order: [],
        pageLength: 25, language: words,
      });
    }
  });
})();
