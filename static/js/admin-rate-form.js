// The rate form: shows only the fields of the chosen model, adds and removes tier rows, and keeps the lower bounds.
// Without it every field shows under its heading and "Add tier" asks the server for the row.
"use strict";

const form = document.getElementById("rate-form");

if (form) {
  const rows = document.getElementById("tier-rows");
  const total = form.elements["tiers-TOTAL_FORMS"];
  form.classList.add("enhanced");

  const showModel = () => {
    const chosen = form.querySelector('input[name="model"]:checked');
    for (const part of form.querySelectorAll("[data-models]")) {
      part.hidden = !chosen || !part.dataset.models.split(" ").includes(chosen.value);
    }
  };

  const removeBox = (row) => row.querySelector('input[name$="-DELETE"]');
  const bound = (row) => row.querySelector('input[name$="-up_to"]');
  const liveRows = () => [...rows.querySelectorAll(".tier-row")].filter((row) => !removeBox(row).checked);

  const refresh = () => {
    let lower = "0";
    const live = liveRows();
    live.forEach((row, index) => {
      row.querySelector(".tier-lower").textContent = lower;
      bound(row).placeholder = index === live.length - 1 ? "and above" : "";
      lower = bound(row).value.trim() || lower;
    });
    for (const row of rows.querySelectorAll(".tier-row")) {
      row.hidden = removeBox(row).checked;
    }
  };

  // In place of the tick box, which a submitted form carries all the same.
  const giveButton = (row) => {
    const label = row.querySelector(".tier-remove label");
    const button = document.createElement("button");
    button.type = "button";
    button.className = "linklike";
    button.textContent = "Remove";
    button.addEventListener("click", () => {
      removeBox(row).checked = true;
      refresh();
    });
    label.hidden = true;
    label.after(button);
  };

  document.getElementById("add-tier").addEventListener("click", (event) => {
    event.preventDefault();
    const last = liveRows().at(-1);
    const copy = document.getElementById("empty-tier").content.cloneNode(true);
    for (const input of copy.querySelectorAll("[name]")) {
      input.name = input.name.replace("__prefix__", total.value);
      input.id = input.id.replace("__prefix__", total.value);
    }
    giveButton(copy.querySelector(".tier-row"));
    rows.append(copy);
    total.value = Number(total.value) + 1;
    refresh();
    // What was the last tier is bounded now: that is what has to be typed next.
    const next = last && !bound(last).value ? last : liveRows().at(-1);
    bound(next).focus();
  });

  form.addEventListener("change", showModel);
  rows.addEventListener("input", refresh);
  for (const row of rows.querySelectorAll(".tier-row")) {
    giveButton(row);
  }
  showModel();
  refresh();
}
