// Live figures: htmx asks for a fragment now and then, and "keep" changes only what differs in it, so that open
// details stay open and focus, selection and scrolling stay where they are. Everything works without this file.
(() => {
  const isElement = (node) => node.nodeType === Node.ELEMENT_NODE;
  const alike = (a, b) => a.nodeName === b.nodeName && (a.id || "") === (b.id || "");

  function mark(node) {
    const figure = node.parentElement?.closest("[data-mark]");
    if (!figure) return;
    figure.classList.remove("changed");
    void figure.offsetWidth; // restarts the animation
    figure.classList.add("changed");
  }

  function update(old, fresh) {
    if (!alike(old, fresh)) return old.replaceWith(fresh);
    if (!isElement(old)) {
      if (old.data !== fresh.data) {
        old.data = fresh.data;
        mark(old);
      }
      return;
    }
    // Whether details are open, and what is marked, is the reader's state, not the server's.
    for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    for (const { name } of [...old.attributes]) {
      if (name !== "open" && name !== "class" && !fresh.hasAttribute(name)) old.removeAttribute(name);
    }
    children(old, fresh);
  }

  function children(old, fresh) {
    const before = [...old.childNodes];
    const after = [...fresh.childNodes];
    after.forEach((node, index) => (before[index] ? update(before[index], node) : old.append(node)));
    before.slice(after.length).forEach((node) => node.remove());
  }

  function keep(target, fragment) {
    const open = [...target.querySelectorAll("details[open][id]")].map((details) => details.id);
    children(target, fragment);
    for (const id of open) document.getElementById(id)?.setAttribute("open", "");
    return [];
  }

  htmx.defineExtension("keep", {
    isInlineSwap: () => false,
    handleSwap: (style, target, fragment) => style === "keep" && keep(target, fragment),
  });

  const isLive = (element) => element.hasAttribute("data-live");

  addEventListener("htmx:beforeRequest", (event) => {
    const { elt, target } = event.detail;
    if (isLive(elt) && document.hidden) event.preventDefault();
    else if (!isLive(elt)) target.setAttribute("aria-busy", "true");
  });

  addEventListener("htmx:afterRequest", ({ detail: { elt, target, successful } }) => {
    const note = document.getElementById("connection");
    target.removeAttribute("aria-busy");
    note.hidden = successful;
    if (successful) return;
    const updated = isLive(elt) && elt.querySelector("[data-updated]")?.textContent;
    note.textContent = updated ? `Last updated ${updated}, connection lost; retrying` : "That did not load. Try again.";
  });

  // For browsers whose style sheets cannot open details for print.
  addEventListener("beforeprint", () => document.querySelectorAll(".document details").forEach((d) => (d.open = true)));
})();
