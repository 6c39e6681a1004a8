// In a page made for a frame: tells the window around it how high it is, and that its session has ended. It speaks to
// nobody before that window has said hello from one of the origins that the token names, and then to this origin only.
(() => {
  const origins = document.body.dataset.origins.split(" ").filter(Boolean);
  let origin = null;
  let told = 0;

  const tell = (message) => origin && parent.postMessage(message, origin);

  function size() {
    const height = Math.ceil(document.body.getBoundingClientRect().height);
    if (origin && height !== told) tell({ tollmeter: "size", height: (told = height) });
  }

  const end = () => document.querySelector("[data-ended]") && tell({ tollmeter: "expired" });

  addEventListener("message", (event) => {
    if (event.source !== parent || parent === window || !origins.includes(event.origin)) return;
    if (event.data?.tollmeter !== "hello") return;
    origin = event.origin;
    told = 0;
    tell({ tollmeter: "ready" });
    size();
    end();
  });

  new ResizeObserver(size).observe(document.body);
  addEventListener("htmx:afterRequest", end);
})();
