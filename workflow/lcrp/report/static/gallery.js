// Filters and sorts the explanations that the page already holds.
document.addEventListener("DOMContentLoaded", () => {
  const { lcrp } = window;
  const field = (id) => document.getElementById(id);
  const gallery = field("gallery");
  const cards = [...gallery.querySelectorAll(".explanation")];
  const start = lcrp.hash();
  if (start.class) field("class").value = start.class;
  if (field("class").selectedIndex < 0) field("class").value = "";

  const numeric = (name) => (a, b) =>
    (b.dataset[name] === "" ? -1 : Number(b.dataset[name])) - (a.dataset[name] === "" ? -1 : Number(a.dataset[name]));
  const orders = {
    "": null, outside: numeric("outside"), score: numeric("score"),
    name: (a, b) => a.dataset.name.localeCompare(b.dataset.name),
  };

  const arrange = () => {
    const wanted = field("search").value.trim().toLowerCase();
    const least = Number(field("least").value) / 100;
    field("least-shown").value = `${field("least").value} %`;
    let count = 0;
    for (const card of cards) {
      const keep = (field("class").value === "" || card.dataset.class === field("class").value)
        && card.dataset.image.toLowerCase().includes(wanted)
        && (least === 0 || (card.dataset.outside !== "" && Number(card.dataset.outside) >= least));
      card.hidden = !keep;
      count += keep;
    }
    const order = orders[field("sort").value];
    gallery.append(...(order ? [...cards].sort(order) : cards));
    field("found").textContent = `${count} of ${cards.length} explanations`;
  };

  for (const id of ["class", "sort"]) field(id).addEventListener("change", arrange);
  for (const id of ["search", "least"]) field(id).addEventListener("input", arrange);
  field("filters").addEventListener("submit", (event) => event.preventDefault());
  arrange();
});
