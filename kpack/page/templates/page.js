"use strict";
(() => {
  const search = document.getElementById("search");
  const found = document.getElementById("found");
  const body = document.querySelector("#table tbody");
  const rows = [...body.rows].map((row) => ({ row, text: row.textContent.toLowerCase().replace(/\s+/g, " ") }));

  function filter() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const { row, text } of rows) {
      row.hidden = !words.every((word) => text.includes(word));
      count += row.hidden ? 0 : 1;
    }
    found.value = words.length ? `${count} of ${rows.length}` : "";
  }

  function sort(head, button) {
    const key = head.dataset.sort;
    const up = head.getAttribute("aria-sort") ? head.getAttribute("aria-sort") !== "ascending" : key !== "size";
    for (const other of head.parentNode.cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const compare = (one, two) => {
      const [a, b] = [one.row.dataset[key], two.row.dataset[key]];
      return (key === "size" ? a - b : a.localeCompare(b)) * (up ? 1 : -1);
    };
    body.append(...[...rows].sort(compare).map(({ row }) => row));
    button.focus();
  }

  for (const head of document.querySelectorAll("th[data-sort]")) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    button.addEventListener("click", () => sort(head, button));
    head.replaceChildren(button);
  }
  document.querySelector(".tools").hidden = false;
  search.addEventListener("input", filter);
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && document.activeElement !== search && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      search.focus();
    } else if (event.key === "Escape" && document.activeElement === search) {
      search.value = "";
      filter();
    }
  });
  document.querySelector(".map")?.addEventListener("click", (event) => {
    if (event.target.closest("a") && search.value) {
      search.value = "";
      filter();
    }
  });
  addEventListener("beforeprint", () => {
    for (const details of document.querySelectorAll("details")) details.open = true;
  });
})();
