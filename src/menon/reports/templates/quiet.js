(() => {
  const written = (name, text, parent) => {
    const made = document.createElement(name);
    made.textContent = text;
    parent.append(made);
    return made;
  };
  const fill = (box, token) => {
    box.replaceChildren();
    written("h3", token.dataset.name, box);
    const facts = document.createElement("dl");
    for (const [name, value] of [
      ["gain", `${token.dataset.gain} nats`],
      ["weight", token.dataset.weight],
      ["loss", token.dataset.loss],
    ]) {
      written("dt", name, facts);
      written("dd", value, facts);
    }
    box.append(facts);
    const thoughts = token.dataset.thoughts ? token.dataset.thoughts.split("\n") : [];
    written("div", thoughts.length ? "thought before it:" : "No thought was kept.", box).className = "note";
    const list = document.createElement("ol");
    for (const thought of thoughts) written("li", thought, list);
    box.append(list);
  };
  for (const reading of document.querySelectorAll(".reading")) {
    const box = reading.querySelector(".thinking");
    const tokens = [...reading.querySelectorAll(".t[tabindex]")];
    if (!tokens.length) continue;
    box.hidden = false;
    reading.classList.add("has-box");
    let chosen = null;
    const choose = (token) => {
      if (chosen) chosen.classList.remove("chosen");
      chosen = token;
      token.classList.add("chosen");
      for (const other of tokens) other.tabIndex = other === token ? 0 : -1;  // one stop for the Tab key per text
      fill(box, token);
    };
    const best = tokens.reduce((a, b) => (gain(b) > gain(a) ? b : a));
    choose(best);
    reading.addEventListener("focusin", (event) => {
      const token = event.target.closest(".t[tabindex]");
      if (token) choose(token);
    });
    reading.addEventListener("mouseover", (event) => {
      const token = event.target.closest(".t[tabindex]");
      if (token) fill(box, token);
    });
    reading.addEventListener("mouseleave", () => fill(box, chosen));
    reading.addEventListener("keydown", (event) => {
      const at = tokens.indexOf(document.activeElement);
      const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tokens.length - 1 }[event.key];
      if (at < 0 || to === undefined || !tokens[to]) return;
      event.preventDefault();
      tokens[to].focus();
    });
  }
  function gain(token) {
    const value = parseFloat(token.dataset.gain.replace("−", "-"));
    return Number.isNaN(value) ? -Infinity : value;
  }
})();
