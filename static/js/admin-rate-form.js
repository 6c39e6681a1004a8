// The rate form: shows only the fields of the chosen model, adds and removes rows of tiers and conditions, and keeps the
// lower bounds of tiers. Without it every field shows under its heading and the "Add" buttons ask the server for the row.
"use strict";

const form = document.getElementById("rate-form");

if (form) {
  form.classList.add("enhanced");

  const showModel = () => {
    const chosen = form.querySelector('input[name="model"]:checked');
    for (const part of form.querySelectorAll("[data-models]")) {
      part.hidden = !chosen || !part.dataset.models.split(" ").includes(chosen.value);
    }
  };

  const removeBox = (row) => row.querySelector('input[name$="-DELETE"]');
  const liveRows = (rows) => [...rows.children].filter((row) => !removeBox(row).checked);

  // Rows that can be added and removed; `changed` is told of it.
  const growing = (rows, prefix, button, template, changed) => {
    const total = form.elements[`${prefix}-TOTAL_FORMS`];

    // In place of the tick box, which a submitted form carries all the same.
    const giveButton = (row) => {
      const label = row.querySelector(".row-remove label");
      const remove = document.createElement("button");
      remove.type = "button";
      remove.className = "linklike";
      remove.textContent = "Remove";
      remove.addEventListener("click", () => {
        removeBox(row).checked = true;
        row.hidden = true;
        changed();
      });
      label.hidden = true;
      label.after(remove);
    };

    button.addEventListener("click", (event) => {
      event.preventDefault();
      const before = liveRows(rows).at(-1);
      const copy = template.content.cloneNode(true);
      for (const input of copy.querySelectorAll("[name]")) {
        input.name = input.name.replace("__prefix__", total.value);
        input.id = input.id.replace("__prefix__", total.value);
      }
      giveButton(copy.querySelector("tr"));
      rows.append(copy);
      total.value = Number(total.value) + 1;
      showModel();
      changed(before);
    });

    for (const row of rows.children) {
      giveButton(row);
      row.hidden = removeBox(row).checked;
    }
  };

  const tiers = document.getElementById("tier-rows");
  const bound = (row) => row.querySelector('input[name$="-up_to"]');
  const showBounds = () => {
    let lower = "0";
    const live = liveRows(tiers);
    live.forEach((row, index) => {
      row.querySelector(".tier-lower").textContent = lower;
      bound(row).placeholder = index === live.length - 1 ? "and above" : "";
      lower = bound(row).value.trim();
    });
  };
  const part = (id) => document.getElementById(id);
  growing(tiers, "tiers", part("add-tier"), part("empty-tier"), (before) => {
    showBounds();
    if (before) {
      // What was the last tier is bounded now: that is what has to be typed next.
      bound(bound(before).value ? liveRows(tiers).at(-1) : before).focus();
    }
  });
  tiers.addEventListener("input", showBounds);

  const conditions = part("condition-rows");
  if (conditions) {
    growing(conditions, "where", part("add-condition"), part("empty-condition"), (before) => {
      if (before) {
        liveRows(conditions).at(-1).querySelector("select").focus();
      }
    });
  }

  form.addEventListener("change", showModel);
  showModel();
  showBounds();
}
