// The front end of every panel but the table: it shows HTML that the kernel made and escaped, and says what was clicked.
// It holds no truth: what is drawn comes from traits, so that a reloaded page draws the same again.

const TALLEST = 760, SHORTEST = 240; // of a drawer, in pixels
const KEPT = { DETAILS: ["open"], INPUT: ["value"], TEXTAREA: ["value"], SELECT: ["value"] };

/** Makes `old` like `fresh` by touching only what differs: focus, scroll and open details stay. */
function morph(old, fresh) {
  if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName || old.dataset?.key !== fresh.dataset?.key) {
    old.replaceWith(fresh);
    return;
  }
  if (old.nodeType === Node.TEXT_NODE) {
    if (old.data !== fresh.data) old.data = fresh.data;
    return;
  }
  if (old.isEqualNode(fresh) && !old.hasAttribute("data-follow")) return;
  const kept = KEPT[old.nodeName] ?? [];
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name) && !kept.includes(name)) old.removeAttribute(name);
  }
  for (const { name, value } of [...fresh.attributes]) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  if ("checked" in fresh && old.checked !== fresh.checked) old.checked = fresh.checked;
  const atEnd = old.scrollHeight - old.scrollTop - old.clientHeight < 24;
  morphChildren(old, fresh);
  if (old.nodeName === "SELECT" && document.activeElement !== old) old.value = fresh.value;
  if (old.hasAttribute("data-follow") && atEnd) old.scrollTop = old.scrollHeight;
}

function morphChildren(old, fresh) {
  const byKey = new Map([...old.children].filter((one) => one.dataset.key).map((one) => [one.dataset.key, one]));
  let at = old.firstChild;
  for (const child of [...fresh.childNodes]) {
    const known = child.dataset?.key ? byKey.get(child.dataset.key) : at;
    if (!known || (known === at && at?.dataset?.key && !child.dataset?.key)) {
      old.insertBefore(child, at);
      continue;
    }
    if (known !== at) old.insertBefore(known, at);
    else at = at.nextSibling;
    morph(known, child);
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}

function parsed(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  return template.content;
}

/** The text of a part, which crosses the wire packed. */
async function unpacked(bytes) {
  if (!bytes?.byteLength) return "";
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).text();
}

/** "12s ago", rounded down, as everywhere in this project. */
function age(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  if (whole < 60) return `${whole}s ago`;
  return whole < 3600 ? `${Math.floor(whole / 60)}m ago` : `${Math.floor(whole / 3600)}h ago`;
}

function tick(root) {
  const now = Date.now() / 1000;
  for (const one of root.querySelectorAll("time[data-at]")) {
    const text = age(now - Number(one.dataset.at));
    if (one.textContent !== text) one.textContent = text;
  }
}

async function copied(button) {
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Copy is not allowed here";
  }
}

function wire(model, el, signal) {
  el.addEventListener("click", (event) => {
    const target = event.target.closest("[data-do], [data-copy]");
    if (!target || !el.contains(target) || /^(SELECT|INPUT|TEXTAREA)$/.test(target.nodeName)) return;
    if (target.dataset.copy !== undefined) {
      copied(target);
      return;
    }
    event.preventDefault();
    model.send({ ...target.dataset });
  }, { signal });
  el.addEventListener("change", (event) => {
    const target = event.target.closest("[data-do]");
    if (target) model.send({ ...target.dataset, value: target.type === "checkbox" ? target.checked : target.value });
  }, { signal });
  el.addEventListener("keydown", (event) => { // outside of a form nothing comes of it
    if (event.key === "Enter" && event.target.matches("input[type=text][data-do]")) event.target.blur();
  }, { signal });
  let soon = 0;
  el.addEventListener("input", (event) => {
    const target = event.target.closest("[data-live]");
    if (!target) return;
    clearTimeout(soon); // a word is sent when it is typed, not with each letter
    soon = setTimeout(() => model.send({ do: target.dataset.do, value: target.value }), 150);
  }, { signal });
  document.addEventListener("keydown", (event) => { // the focus may be in the table, which is another widget
    const inside = (el.closest(".jq-panel") ?? el).contains(event.target);
    if (event.key === "Escape" && inside && el.querySelector("[data-do=close]")) model.send({ do: "close" });
  }, { signal });
}

/** A plain key that is pressed in a panel is for the panel: to JupyterLab, "d d" would mean to delete the cell. What is
 *  pressed with Ctrl, Alt, or Shift and Enter, is for JupyterLab as ever: to save, to run. */
function keepKeys(el, signal) {
  window.addEventListener("keydown", (event) => {
    if (!(el.closest(".jq-panel") ?? el).contains(event.target)) return;
    const theirs = event.ctrlKey || event.metaKey || event.altKey || (event.shiftKey && event.key === "Enter");
    event.target.toggleAttribute("data-lm-suppress-shortcuts", !theirs);
  }, { capture: true, signal });
}

/** Says whether somebody can see the panel; only a plain "no" stops the kernel's refreshes. */
function watchShown(model, el, signal) {
  let inView = true;
  const say = () => {
    const shown = inView && document.visibilityState === "visible";
    if (model.get("shown") !== shown) {
      model.set("shown", shown);
      model.save_changes();
    }
  };
  const observer = new IntersectionObserver(([entry]) => {
    inView = entry.isIntersecting;
    say();
  });
  observer.observe(el);
  document.addEventListener("visibilitychange", say, { signal });
  return () => observer.disconnect();
}

/** What can be seen of a panel now: its top and bottom, in the coordinates of the window. */
function inSight(panel) {
  const whole = panel.getBoundingClientRect();
  let [top, bottom] = [Math.max(whole.top, 0), Math.min(whole.bottom, innerHeight)];
  for (let one = panel.parentElement; one && one !== document.body; one = one.parentElement) {
    if (getComputedStyle(one).overflowY === "visible") continue;
    const box = one.getBoundingClientRect();
    [top, bottom] = [Math.max(top, box.top), Math.min(bottom, box.bottom)];
  }
  return [top, bottom, whole.bottom];
}

/** What lies over a tall panel stays where it can be seen, however far the page was scrolled: the drawer at the top, what was
 *  said at the bottom. Outputs are scroll containers of their own, so nothing in them can be sticky. */
const PLACE = {
  drawer(home, top, bottom, end) {
    const height = Math.min(TALLEST, Math.max(SHORTEST, bottom - top));
    home.style.height = `${height}px`;
    return Math.min(top, end - height);
  },
  status: (home, top, bottom) => bottom - home.offsetHeight - 8,
};

function keepInSight(el, part, home, signal) {
  let asked = 0;
  const place = () => {
    asked = 0;
    if (!home.textContent || getComputedStyle(home).position !== "absolute") return;
    const y = PLACE[part](home, ...inSight(el.closest(".jq-panel") ?? el));
    home.style.top = `${Math.max(0, y - el.getBoundingClientRect().top)}px`;
  };
  const soon = () => (asked ||= requestAnimationFrame(place));
  for (const what of ["scroll", "resize"]) window.addEventListener(what, soon, { capture: true, passive: true, signal });
  const sizes = new ResizeObserver(soon);
  sizes.observe(el);
  signal.addEventListener("abort", () => sizes.disconnect());
  return place;
}

function render({ model, el }) {
  const ending = new AbortController();
  el.classList.add("jq-view");
  for (const part of model.get("parts")) {
    const home = document.createElement("div");
    home.dataset.part = part;
    el.append(home);
    home.hidden = true;
    const trait = `packed_${part}`;
    const place = part in PLACE ? keepInSight(el, part, home, ending.signal) : () => {};
    let turn = 0;
    const draw = async () => {
      const mine = ++turn;
      const text = await unpacked(model.get(trait));
      if (mine !== turn) return; // a later one was faster
      const opens = part === "drawer" && home.hidden && mine > 1;
      morphChildren(home, parsed(text));
      home.hidden = !home.hasChildNodes();
      tick(home);
      place();
      if (opens) home.scrollIntoView({ block: "nearest" });
    };
    draw();
    model.on(`change:${trait}`, draw);
    ending.signal.addEventListener("abort", () => model.off(`change:${trait}`, draw));
  }
  wire(model, el, ending.signal);
  keepKeys(el, ending.signal);
  const unwatch = watchShown(model, el, ending.signal);
  const clock = setInterval(() => tick(el), 1000);
  return () => {
    clearInterval(clock);
    unwatch();
    ending.abort();
  };
}

export default { render };
