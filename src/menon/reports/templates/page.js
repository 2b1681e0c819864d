(() => {
  const bar = document.querySelector(".filters");
  if (!bar) return;
  bar.hidden = false;
  bar.addEventListener("click", (event) => {
    const pressed = event.target.closest("button");
    if (!pressed) return;
    for (const button of bar.querySelectorAll("button")) {
      button.setAttribute("aria-pressed", String(button === pressed));
    }
    for (const card of document.querySelectorAll(".card")) {
      card.hidden = pressed.dataset.outcome !== "all" && card.dataset.outcome !== pressed.dataset.outcome;
    }
  });
})();
