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

  // What has a name goes on under it, whatever comes or goes before it; the rest is taken in order.
  function children(old, fresh) {
    const named = new Map([...old.children].filter((node) => node.id).map((node) => [node.id, node]));
    const stays = new Set([...fresh.children].map((node) => node.id).filter((id) => named.has(id)));
    let next = old.firstChild;
    for (const node of [...fresh.childNodes]) {
      const known = node.id && named.get(node.id);
      if (known) {
        // Nothing is moved that need not be: what is, loses the focus.
        while (next && next !== known && !stays.has(next.id)) next = remove(next);
        if (known !== next) old.insertBefore(known, next);
        else next = known.nextSibling;
        stays.delete(node.id);
        update(known, node);
      } else if (next && !next.id && !node.id) {
        const here = next;
        next = next.nextSibling;
        update(here, node);
      } else old.insertBefore(node, next);
    }
    while (next) next = remove(next);
  }

  function remove(node) {
    const next = node.nextSibling;
    node.remove();
    return next;
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

  // A live part asks while it is seen. Behind another tab it waits, and asks once as soon as it is seen again; what the
  // server has answered 286 of is over.
  const over = new WeakSet();
  const isLive = (element) => element.hasAttribute("data-live");
  const ask = (elt) => htmx.ajax("GET", elt.getAttribute("hx-get"), { source: elt, target: elt, swap: "keep" });

  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return;
    for (const elt of document.querySelectorAll("[data-live]")) if (!over.has(elt)) ask(elt);
  });

  addEventListener("htmx:beforeRequest", (event) => {
    const { elt, target } = event.detail;
    if (isLive(elt) && (document.hidden || over.has(elt))) event.preventDefault();
    else if (!isLive(elt)) target.setAttribute("aria-busy", "true");
  });

  // What went wrong, with a way to try again at once. A live part tries by itself, too; its figures stay, marked as old.
  function tell(note, { elt, target, requestConfig }) {
    const updated = isLive(elt) && elt.querySelector("[data-updated]")?.textContent;
    note.textContent = updated ? `Last updated ${updated}, connection lost; retrying. ` : "That did not load. ";
    if (requestConfig?.verb !== "get") return note.append("Try again.");
    const retry = Object.assign(document.createElement("button"), { type: "button", textContent: "Try again" });
    retry.className = "as-link";
    retry.addEventListener("click", () => {
      if (isLive(elt)) ask(elt);
      else htmx.ajax("GET", requestConfig.path, { source: elt, target });
    });
    note.append(retry);
  }

  addEventListener("htmx:afterRequest", ({ detail }) => {
    const { elt, target, successful, xhr } = detail;
    const note = document.getElementById("connection");
    target.removeAttribute("aria-busy");
    if (isLive(elt) && xhr.status === 286) over.add(elt);
    if (isLive(elt)) elt.toggleAttribute("data-stale", !successful);
    // Written once, so that it is read out once and a button in it stays where it is.
    if (!successful && note.hidden) tell(note, detail);
    note.hidden = successful;
  });

  // For browsers whose style sheets cannot open details for print.
  addEventListener("beforeprint", () => document.querySelectorAll(".document details").forEach((d) => (d.open = true)));
})();
