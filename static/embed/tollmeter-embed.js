// Puts a page of Tollmeter into a page of yours and keeps it as high as what is in it. No dependencies. Apache-2.0.
//
//   const usage = TollmeterEmbed.mount("#usage", {
//     url,                       // `urls.usage` of what POST /v1/customers/{key}/embed-tokens answers
//     refresh: async () => url,  // asked for a new one when the session has ended
//     theme: "auto",             // or "light", "dark"
//     accent: "#7a3ff2",         // your colour
//     title: "Usage",            // the name of the frame, for screen readers
//     onMessage: (message) => {} // its `type`: "ready", "size" (with `height`), "expired", "silent"
//   });
//   usage.update({ theme: "dark" }); usage.remove();
//
// It believes a message only if it comes from the frame's own window and from Tollmeter's origin.
(() => {
  const TALLEST = 20000;
  const SOON = 5000; // where the next session ends within these milliseconds, no other one is asked for
  const AGAIN = 60000; // after a refresh that failed, or a page that said nothing

  function mount(place, options) {
    const settings = { ...options };
    const frame = document.createElement("iframe");
    const origin = new URL(settings.url).origin;
    let renewed = -SOON;
    let waiting = 0;
    let gone = false;

    function address(url) {
      const full = new URL(url);
      if (full.origin !== origin) throw new Error("TollmeterEmbed: another origin than that of the first address");
      for (const name of ["theme", "accent"]) {
        if (settings[name]) full.searchParams.set(name, String(settings[name]).replace("#", ""));
      }
      return full.href;
    }

    function load(url) {
      frame.src = address(url);
      settings.url = url;
      frame.setAttribute("aria-busy", "true");
    }

    function greet() {
      clearTimeout(waiting);
      waiting = setTimeout(() => {
        settings.onMessage?.({ type: "silent" });
        waiting = setTimeout(() => load(settings.url), AGAIN);
      }, SOON);
      frame.contentWindow.postMessage({ tollmeter: "hello" }, origin);
    }

    async function renew() {
      if (gone || !settings.refresh || performance.now() - renewed < SOON) return;
      renewed = performance.now();
      try {
        const url = await settings.refresh();
        if (!gone) load(url);
      } catch {
        setTimeout(renew, AGAIN);
      }
    }

    function hear({ source, origin: from, data }) {
      if (source !== frame.contentWindow || from !== origin || !data || !data.tollmeter) return;
      clearTimeout(waiting);
      frame.removeAttribute("aria-busy");
      if (data.tollmeter === "size" && data.height > 0) frame.style.height = `${Math.min(data.height, TALLEST)}px`;
      if (data.tollmeter === "expired") renew();
      settings.onMessage?.({ type: data.tollmeter, height: data.height });
    }

    frame.title = settings.title || "Usage and billing";
    frame.setAttribute("sandbox", "allow-scripts allow-same-origin allow-forms allow-downloads");
    frame.style.cssText = "display:block;width:100%;border:0";
    frame.addEventListener("load", greet);
    addEventListener("message", hear);
    load(settings.url);
    (typeof place === "string" ? document.querySelector(place) : place).append(frame);

    return {
      frame,
      update(changes) {
        Object.assign(settings, changes);
        load(settings.url);
      },
      remove() {
        gone = true;
        clearTimeout(waiting);
        removeEventListener("message", hear);
        frame.remove();
      },
    };
  }

  window.TollmeterEmbed = { mount };
})();
