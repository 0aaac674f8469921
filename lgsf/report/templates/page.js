"use strict";
// Sort a table by a column: the header becomes a button, so that keyboards reach it. Without this the page is whole.
document.querySelectorAll("table.sortable").forEach((table) => {
  const bodies = [...table.tBodies].filter((body) => !body.classList.contains("fixed"));
  const original = bodies.map((body) => [...body.rows]);
  const data = original.flat().filter((row) => !row.classList.contains("group"));
  if (data.length < 2) return;
  const heads = [...table.tHead.rows[table.tHead.rows.length - 1].cells];
  const key = (row, column) => {
    const cell = row.cells[column];
    return cell.dataset.sort === undefined ? cell.textContent.trim() : Number(cell.dataset.sort);
  };
  const compare = (a, b) => {
    if (typeof a === "number" && typeof b === "number") return a - b;
    if (typeof a === "number") return -1;
    if (typeof b === "number") return 1;
    return a.localeCompare(b);
  };
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const numeric = head.classList.contains("number");
      const order = numeric ? ["descending", "ascending", null] : ["ascending", "descending", null];
      const next = order[(order.indexOf(head.getAttribute("aria-sort")) + 1) % 3];
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      bodies.forEach((body) => body.replaceChildren());
      if (next) {
        head.setAttribute("aria-sort", next);
        const sign = next === "ascending" ? 1 : -1;
        // Sorted, the groups are mixed; those that are fixed (controls) keep their place below.
        bodies[0].append(...data.slice().sort((a, b) => sign * compare(key(a, column), key(b, column))));
      } else {
        bodies.forEach((body, index) => body.append(...original[index]));
      }
    });
  });
});

// Copy a table as text: Markdown for a repository page, LaTeX (booktabs) for a paper.
const words = (cell) => cell.innerText.replace(/\s+/g, " ").trim();
const rowsOf = (table) => [...table.tBodies].flatMap((body) => [...body.rows]);
const headsOf = (table) => [...table.tHead.rows[table.tHead.rows.length - 1].cells];
const forms = {
  Markdown: (table) => {
    const clean = (cell) => words(cell).replace(/([\\|*_`])/g, "\\$1");
    const line = (cells) => `| ${cells.join(" | ")} |`;
    const heads = headsOf(table);
    const marks = heads.map((head) => (head.classList.contains("number") ? "---:" : "---"));
    const rows = rowsOf(table).map((row) => line(heads.map((_, k) => (row.cells[k] ? clean(row.cells[k]) : ""))));
    return [line(heads.map(clean)), line(marks), ...rows].join("\n");
  },
  LaTeX: (table) => {
    const signs = { "−": "$-$", "±": "$\\pm$", "†": "\\textsuperscript{\\dag}", "‡": "\\textsuperscript{\\ddag}", "✓": "$\\surd$", "–": "--", "Δ": "$\\Delta$", "∞": "$\\infty$" };
    const clean = (cell) => words(cell).replace(/[\\&%$#_{}~^]/g, (c) => (c === "\\" ? "\\textbackslash{}" : c === "~" || c === "^" ? `\\${c}{}` : `\\${c}`)).replace(/[−±†‡✓–Δ∞]/g, (c) => signs[c]);
    const bold = (cell) => (cell.classList.contains("best") ? `\\textbf{${clean(cell)}}` : clean(cell));
    const heads = headsOf(table);
    const columns = heads.map((head) => (head.classList.contains("number") ? "r" : "l")).join("");
    const rows = rowsOf(table).map((row) => {
      if (row.cells.length === 1) return `\\multicolumn{${heads.length}}{l}{\\emph{${clean(row.cells[0])}}} \\\\`;
      return `${[...row.cells].map(bold).join(" & ")} \\\\`;
    });
    return [`\\begin{tabular}{${columns}}`, "\\toprule", `${heads.map(clean).join(" & ")} \\\\`, "\\midrule", ...rows, "\\bottomrule", "\\end{tabular}"].join("\n");
  },
};
const copy = (text) => {
  // The clipboard of a page that was opened from disk may be closed to scripts: then the old way.
  const old = () => {
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  };
  return navigator.clipboard ? navigator.clipboard.writeText(text).catch(old) : Promise.resolve(old());
};
document.querySelectorAll(".get").forEach((get) => {
  const table = get.parentElement.querySelector("table");
  Object.entries(forms).forEach(([name, form]) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = `Copy as ${name}`;
    button.addEventListener("click", () => copy(form(table)).then(() => { button.textContent = `Copied as ${name}`; }));
    get.querySelector("p").append(button);
  });
});

// A link into a fold opens it, in browsers that do not do so themselves.
const reveal = () => {
  const target = document.getElementById(location.hash.slice(1));
  for (let e = target; e; e = e.parentElement) if (e.tagName === "DETAILS") e.open = true;
  if (target && target.closest("details")) target.scrollIntoView();
};
window.addEventListener("hashchange", reveal);
reveal();

// The contents mark the section that is being read.
const links = new Map([...document.querySelectorAll("nav a")].map((link) => [link.hash.slice(1), link]));
const visible = new Set();
const watch = new IntersectionObserver((entries) => {
  entries.forEach(({ target, isIntersecting }) => (isIntersecting ? visible.add(target) : visible.delete(target)));
  const first = [...document.querySelectorAll("main > section")].find((section) => visible.has(section));
  links.forEach((link) => link.removeAttribute("aria-current"));
  const link = first && links.get(first.getAttribute("aria-labelledby"));
  if (link) link.setAttribute("aria-current", "true");
}, { rootMargin: "-60px 0px -60% 0px" });
document.querySelectorAll("main > section").forEach((section) => watch.observe(section));
