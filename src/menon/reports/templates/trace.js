(() => {
  const queries = [...document.querySelectorAll(".query")], rows = [...document.querySelectorAll(".listing tbody tr")];
  const finder = document.querySelector(".finder");
  let current = queries[0];
  if (!current) return;

  const unpack = async (query) => {
    const packed = query.querySelector("script");
    if (!packed || !globalThis.DecompressionStream) return;
    const bytes = Uint8Array.from(atob(packed.textContent), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    query.innerHTML = await new Response(stream).text();  // escaped when it was written
  };
  const show = async (query, scroll) => {
    current = query;
    for (const other of queries) other.hidden = other !== query;
    for (const row of rows) {
      const chosen = row.dataset.query === query.id;
      if (chosen) row.setAttribute("aria-current", "true");
      else row.removeAttribute("aria-current");
      if (chosen && scroll) row.scrollIntoView({ block: "nearest" });
    }
    await unpack(query);
    if (scroll) query.scrollIntoView({ block: "start" });
  };
  const byHash = () => queries.find((query) => query.id === location.hash.slice(1));
  const step = (by) => {
    const open = rows.filter((row) => row.dataset.query && !row.hidden);
    const at = open.findIndex((row) => row.dataset.query === current.id);
    const next = open[at < 0 ? 0 : at + by];
    if (next) location.hash = next.dataset.query;
  };

  addEventListener("hashchange", () => byHash() && show(byHash(), true));
  document.querySelector(".listing").addEventListener("click", (event) => {
    const row = event.target.closest("tr[data-query]");
    if (row && !event.target.closest("a")) location.hash = row.dataset.query;
  });
  if (finder) {
    const input = finder.querySelector("input"), said = finder.querySelector(".found");
    const texts = rows.map((row) => row.textContent.toLowerCase());
    finder.hidden = false;
    input.addEventListener("input", () => {
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      rows.forEach((row, i) => { row.hidden = !words.every((word) => texts[i].includes(word)); });
      const left = rows.filter((row) => !row.hidden).length;
      said.textContent = words.length ? `${left} of ${rows.length}${left ? "" : ": no query has all of these words"}` : "";
    });
  }
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest?.("input")) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    if (event.key === "j" || event.key === "k") step(event.key === "j" ? 1 : -1);
    else if (event.key === "/" && finder) finder.querySelector("input").focus();
    else if (event.key === "o") {
      const documents = [...current.querySelectorAll(".document")], open = !documents.some((card) => card.open);
      for (const card of documents) card.open = open;
    } else return;
    event.preventDefault();
  });
  show(byHash() ?? current, Boolean(byHash()));
})();
