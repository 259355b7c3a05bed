// A table of which only the rows in sight are in the page: the kernel keeps the rest, and sends a window of it.

const HEIGHT = 26; // of a row, in pixels, as in style.css
const AROUND = 8; // rows above and below those in sight
const TALLEST = 15_000_000; // pixels: no browser draws an element that is much taller
const TITLES = { made: "Made", status: "Status", name: "Name", type: "Type", project: "Project", batch: "Batch", attempts: "Attempts", run: "Ran", finished: "Finished", error: "Error" };
const WORDS = { pending: "pending", claimed: "active", done: "done", failed: "failed" };

function made(name, attributes = {}, ...inside) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...inside);
  return element;
}

function moment(stamp) {
  const [, y, mo, d, h, mi, s] = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)/.exec(stamp) ?? [];
  return y ? `${mo}-${d} ${h}:${mi}:${s}` : "";
}

function shown(column, row) {
  const value = row[column];
  if (column === "made") return moment(value);
  if (column === "finished") return value < 0 ? "" : new Date(value * 1000).toISOString().slice(5, 19).replace("T", " ");
  if (column === "name") return value || row.type;
  return String(value);
}

function cell(column, row) {
  const text = shown(column, row);
  if (column === "status") return made("td", {}, made("span", { class: `jq-chip jq-${row.status}` }, WORDS[row.status]));
  if (column === "name") return made("th", { scope: "row", title: `${text}\n${row.id}` }, text);
  return made("td", { class: `jq-c-${column}`, title: text }, text);
}

function line(row, columns, number, chosen) {
  const box = made("input", { type: "checkbox", tabindex: "-1", "aria-label": `Choose ${row.id}` });
  box.checked = chosen;
  const cells = columns.map((column) => cell(column, row));
  return made("tr", { "data-id": row.id, "aria-rowindex": number + 2, "aria-selected": String(chosen), tabindex: "-1" }, made("td", {}, box), ...cells);
}

function heading(column, page) {
  const sorted = page.sort === column;
  const order = sorted ? (page.descending ? "descending" : "ascending") : "none";
  const button = made("button", { type: "button" }, TITLES[column], sorted ? (page.descending ? " ↓" : " ↑") : "");
  return made("th", { scope: "col", "aria-sort": order, "data-column": column, class: `jq-c-${column}` }, button);
}

/** The page crosses the wire packed. */
async function unpacked(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return JSON.parse(await new Response(stream).text());
}

function render({ model, el }) {
  const ending = new AbortController();
  const { signal } = ending;
  const head = made("thead");
  const body = made("tbody");
  const above = made("tbody", { "aria-hidden": "true" }, made("tr", {}, made("td")));
  const below = above.cloneNode(true);
  const table = made("table", { class: "jq-grid", "aria-label": "Jobs" }, head, above, body, below);
  const empty = made("p", { class: "jq-empty" });
  const frame = made("div", { class: "jq-scroll", tabindex: "0" }, table, empty);
  el.classList.add("jq-view");
  el.append(frame);
  let page = null;
  let turn = 0;
  let asked = "";
  let focused = null;
  let anchor = null;

  /** Rows that are passed while one row's height is scrolled: more than one where all of them were too tall. */
  function pace() {
    const all = (page?.total ?? 0) * HEIGHT;
    return all <= TALLEST ? 1 : (all - frame.clientHeight) / (TALLEST - frame.clientHeight);
  }

  function ask() {
    const start = Math.max(0, Math.floor((frame.scrollTop * pace()) / HEIGHT) - AROUND);
    const count = Math.ceil(frame.clientHeight / HEIGHT) + 2 * AROUND;
    const wanted = `${start} ${count}`;
    if (wanted === asked || !frame.clientHeight) return;
    asked = wanted;
    model.send({ do: "window", start, count });
  }

  async function take() {
    const mine = ++turn;
    const bytes = model.get("packed");
    const fresh = bytes?.byteLength ? await unpacked(bytes) : null;
    if (fresh && mine === turn && !signal.aborted) {
      page = fresh;
      draw();
    }
  }

  /** Who has the focus has it afterwards, and nobody else: a person may be typing elsewhere. */
  function draw() {
    const left = Math.max(0, Math.min(page.total * HEIGHT, TALLEST) - page.rows.length * HEIGHT);
    const passed = Math.max(0, Math.min(left, page.start * HEIGHT - frame.scrollTop * (pace() - 1))); // measured before rows change
    const active = el.getRootNode().activeElement;
    const inHead = head.contains(active) && (active.closest("th").dataset.column ?? "all");
    const inBody = body.contains(active);
    if (inBody) focused = active.closest("tr[data-id]").dataset.id; // who leaves it by scrolling comes back to it
    head.replaceChildren(made("tr", {}, allBox(page), ...page.columns.map((column) => heading(column, page))));
    body.replaceChildren(...page.rows.map((row, n) => line(row, page.columns, page.start + n, page.all || page.chosen.includes(row.id))));
    table.setAttribute("aria-rowcount", page.total + 1);
    above.hidden = !passed;
    above.firstChild.firstChild.style.height = `${passed}px`;
    below.firstChild.firstChild.style.height = `${left - passed}px`;
    empty.textContent = page.total ? "" : page.empty;
    if (inHead) head.querySelector(inHead === "all" ? "input" : `th[data-column="${inHead}"] button`)?.focus({ preventScroll: true });
    if (inBody) (rowOf(focused) ?? frame).focus({ preventScroll: true });
    else if (active === frame) rowOf(focused)?.focus({ preventScroll: true });
    ask();
  }

  function rowOf(id) {
    return id && body.querySelector(`tr[data-id="${CSS.escape(id)}"]`);
  }

  function allBox(page) {
    const box = made("input", { type: "checkbox", "aria-label": `Choose all ${page.total} jobs` });
    box.checked = page.all && page.total > 0;
    box.addEventListener("change", () => model.send({ do: "choose-all", value: box.checked }));
    return made("th", { scope: "col" }, box);
  }

  function choose(row, value, range) {
    const rows = [...body.children];
    const from = range ? rows.findIndex((one) => one.dataset.id === anchor) : -1;
    const to = rows.indexOf(row);
    const some = from < 0 ? [row] : rows.slice(Math.min(from, to), Math.max(from, to) + 1);
    anchor = row.dataset.id;
    model.send({ do: "choose", ids: some.map((one) => one.dataset.id), value });
  }

  frame.addEventListener("scroll", () => requestAnimationFrame(ask), { signal });
  el.addEventListener("click", (event) => {
    const column = event.target.closest("th[data-column]");
    const row = event.target.closest("tr[data-id]");
    if (column) model.send({ do: "sort", column: column.dataset.column });
    else if (row && event.target.matches("input")) choose(row, event.target.checked, event.shiftKey);
    else if (row) model.send({ do: "open", id: row.dataset.id });
  }, { signal });
  frame.addEventListener("keydown", (event) => {
    const row = document.activeElement?.closest("tr[data-id]");
    const move = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (move) {
      const next = row ? (move > 0 ? row.nextElementSibling : row.previousElementSibling) : body.firstElementChild;
      if (!next) return;
      next.focus({ preventScroll: true });
      next.scrollIntoView({ block: "nearest" });
    } else if (event.key === "Home" || event.key === "End") {
      focused = null;
      frame.focus({ preventScroll: true });
      frame.scrollTop = event.key === "Home" ? 0 : frame.scrollHeight;
    } else if (row && event.key === "Enter") model.send({ do: "open", id: row.dataset.id });
    else if (row && event.key === " ") choose(row, row.getAttribute("aria-selected") !== "true", event.shiftKey);
    else return;
    event.preventDefault();
  }, { signal });
  const sized = new ResizeObserver(ask);
  sized.observe(frame);
  model.on("change:packed", take);
  take();
  return () => {
    model.off("change:packed", take);
    sized.disconnect();
    ending.abort();
  };
}

export default { render };
