// The pretend app's own script: asks its own server for a session, and has Tollmeter's script show the pieces.
const form = document.getElementById("look");
const trouble = document.getElementById("trouble");
const chosen = (name) => new FormData(form).get(name);
const mounted = [];
let asked = null;

// The pieces on a page share a session; those that end together ask for one new one.
function session() {
  asked ??= fetch(`/embed-session?customer=${encodeURIComponent(chosen("customer"))}`, { method: "POST" })
    .then(async (response) => {
      if (!response.ok) throw new Error(await response.text());
      return response.json();
    })
    .finally(() => setTimeout(() => (asked = null), 1000));
  return asked;
}

async function show() {
  for (const piece of mounted.splice(0)) piece.remove();
  try {
    const urls = await session();
    trouble.hidden = true;
    for (const place of document.querySelectorAll("[data-view]")) {
      mounted.push(
        TollmeterEmbed.mount(place, {
          url: urls[place.dataset.view],
          refresh: async () => (await session())[place.dataset.view],
          title: place.getAttribute("aria-label"),
          theme: chosen("theme"),
          accent: chosen("accent"),
        }),
      );
    }
  } catch (error) {
    trouble.textContent = `${error.message} Trying again.`;
    trouble.hidden = false;
    setTimeout(show, 3000);
  }
}

form.addEventListener("change", ({ target }) => {
  document.documentElement.dataset.theme = chosen("theme");
  if (target.name === "customer") {
    asked = null;
    show();
  } else {
    for (const piece of mounted) piece.update({ theme: chosen("theme"), accent: chosen("accent") });
  }
});

show();
