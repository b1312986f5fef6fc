"use strict";
// Without this script everything is there as well: it filters the table, and opens the host that a link leads to.
(function () {
  const rows = Array.from(document.querySelectorAll("#hosts tbody tr"));
  const buttons = Array.from(document.querySelectorAll(".tools button"));
  const search = document.querySelector("#search");
  const shown = document.querySelector("#shown");
  let wanted = "";

  function filter() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const row of rows) {
      const fits = (!wanted || row.dataset.verdict === wanted) && words.every((word) => row.dataset.words.includes(word));
      row.hidden = !fits;
      count += fits;
    }
    shown.textContent = count + " of " + rows.length;
  }

  function open() {
    const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target && target.tagName === "DETAILS") {
      target.open = true;
      target.scrollIntoView();
    }
  }

  for (const button of buttons) {
    button.addEventListener("click", () => {
      wanted = button.dataset.verdict;
      buttons.forEach((other) => other.setAttribute("aria-pressed", String(other === button)));
      filter();
    });
  }
  search.addEventListener("input", filter);
  window.addEventListener("hashchange", open);
  document.querySelector(".tools").hidden = false;
  filter();
  open();
})();
