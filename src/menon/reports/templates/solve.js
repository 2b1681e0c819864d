(() => {
  const bar = document.querySelector(".filters");
  if (bar) {
    bar.hidden = false;
    bar.addEventListener("click", (event) => {
      const pressed = event.target.closest("button");
      if (!pressed) return;
      for (const button of bar.querySelectorAll("button")) {
        button.setAttribute("aria-pressed", String(button === pressed));
      }
      const wanted = pressed.dataset.show;
      for (const row of document.querySelectorAll("[data-is]")) {
        row.hidden = wanted !== "all" && !row.dataset.is.split(" ").includes(wanted);
      }
    });
  }

  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const draw = async (chart, index) => {
    const source = chart.querySelector(".source");
    if (!source || !globalThis.mermaid) return;
    const { svg } = await mermaid.render(`mermaid-${index}`, source.textContent);
    const target = chart.querySelector(".by-mermaid"), plain = chart.querySelector(".plain");
    const button = chart.querySelector(".switch button");
    target.innerHTML = svg;
    const show = (own) => {
      target.hidden = own;
      plain.hidden = !own;
      button.textContent = own ? "Show Mermaid's drawing" : "Show the plain drawing";
    };
    show(false);
    button.parentElement.hidden = false;
    button.addEventListener("click", () => show(plain.hidden));
  };
  const drawAll = async () => {
    if (globalThis.mermaid) {
      mermaid.initialize({
        startOnLoad: false,
        securityLevel: "strict",
        suppressErrorRendering: true,
        htmlLabels: false,
        theme: dark ? "dark" : "neutral",
        fontFamily: "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif",
        maxEdges: 2000,
        maxTextSize: 1000000,
        flowchart: { htmlLabels: false, useMaxWidth: true, wrappingWidth: 600 },  // labels come wrapped
      });
    }
    let index = 0;
    for (const chart of document.querySelectorAll(".executed")) {
      try {
        await draw(chart, index++);
      } catch (problem) {
        chart.dataset.problem = String(problem);  // the plain drawing stays
      }
    }
    document.documentElement.dataset.drawn = "yes";
  };
  drawAll();
})();
