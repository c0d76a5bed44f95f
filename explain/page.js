"use strict";
(async () => {
  document.documentElement.classList.add("js");
  const { explanation, words, layer, head, heads, causal, shares } = JSON.parse(document.getElementById("data").textContent);
  const { tokens, next } = explanation;
  const n = tokens.length;
  const byId = (id) => document.getElementById(id);
  const node = (tag, className, text) => Object.assign(document.createElement(tag), { className, textContent: text });
  const chip = (text, className = "") => Object.assign(node("span", "chip " + className, text), { dir: "auto" });
  const percent = (p) => (p >= 0.9995 ? "100%" : p >= 0.1 ? (100 * p).toFixed(1) + "%" : p >= 0.001 ? (100 * p).toFixed(2) + "%" :
    p >= 0.00001 ? (100 * p).toFixed(3) + "%" : "<0.001%");

  // Which token is chosen, by click or key, and which one the pointer is over.
  let chosen = Math.max(0, next ? n - 1 : tokens.findIndex((t) => t.expected));
  let over = null;
  const current = () => over ?? chosen;

  // strip makes a row of chips one list, of which the arrow keys choose.
  const strip = (box) => {
    const chips = [...box.children];
    box.setAttribute("role", "listbox");
    const choose = (i) => { chosen = i; over = null; show(); };
    chips.forEach((c, i) => {
      c.setAttribute("role", "option");
      c.setAttribute("aria-label", tokens[i] ? `${i}: “${tokens[i].text}”` : words.next);
      c.addEventListener("click", () => choose(i));
      c.addEventListener("pointerenter", (e) => { if (e.pointerType === "mouse") { over = i; show(); } });
    });
    box.addEventListener("pointerleave", () => { over = null; show(); });
    box.addEventListener("keydown", (e) => {
      const at = Math.min(chosen, chips.length - 1);
      const to = { ArrowLeft: at - 1, ArrowUp: at - 1, ArrowRight: at + 1, ArrowDown: at + 1, Home: 0, End: chips.length - 1 }[e.key];
      if (to === undefined) return;
      e.preventDefault();
      choose(Math.max(0, Math.min(chips.length - 1, to)));
      chips[chosen].focus();
    });
    return () => chips.forEach((c, i) => {
      c.setAttribute("aria-selected", i === Math.min(current(), chips.length - 1));
      c.tabIndex = i === Math.min(chosen, chips.length - 1) ? 0 : -1;
    });
  };

  const showExpected = () => {
    const box = byId("expected");
    if (!box) return;
    const i = current();
    const t = tokens[i];
    const expected = t ? t.expected : next;
    const line = node("p", "here", "");
    if (t) line.append(`${i} `, chip(t.text, t.special ? "special" : ""), " ");
    if (t?.of) line.append(words.part_of.replace("%s", t.of) + " ");
    if (!t) line.append(words.next);
    else if (t.likelihood) {
      const { probability, rank, bits } = t.likelihood;
      line.append(words.here.replace("%p", percent(probability)).replace("%r", rank).replace("%b", bits.toFixed(1)));
    } else if (!expected) line.append(explanation.expects === "next" ? words.first : words.unmasked);
    const list = node("ol", "bars", "");
    for (const c of expected ?? []) {
      const item = document.createElement("li");
      const bar = node("span", "bar", "");
      bar.style.setProperty("--share", c.probability);
      item.append(chip(c.text, t?.likelihood && c.id === t.id ? "hit" : ""), bar, node("span", "", percent(c.probability)));
      list.append(item);
    }
    box.replaceChildren(line, list);
  };

  // What stands below must not jump when the pointer goes from token to token.
  const rows = Math.max(...tokens.map((t) => t.expected?.length ?? 0), next?.length ?? 0);
  byId("expected")?.style.setProperty("--rows", rows);

  const unpack = async () => {
    const bytes = Uint8Array.from(atob(shares), (c) => c.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  };

  let all = null;
  const layers = byId("layer");
  const headsOf = byId("head");
  const size = causal ? (n * (n + 1)) / 2 : n * n;
  // row returns the shares of a query from 0 to 1: of the head chosen, or their mean.
  const row = (q) => {
    const l = +layers.value, h = +headsOf.value;
    const first = heads.slice(0, l).reduce((a, b) => a + b, 0);
    const from = h < 0 ? 0 : h, to = h < 0 ? heads[l] : h + 1;
    const out = new Float32Array(n);
    const start = causal ? (q * (q + 1)) / 2 : q * n;
    for (let i = from; i < to; i++) {
      const at = (first + i) * size + start;
      for (let k = 0; k < (causal ? q + 1 : n); k++) out[k] += all[at + k] / 255 / (to - from);
    }
    return out;
  };

  const showLooks = () => {
    if (!all) return;
    const q = Math.min(current(), n - 1);
    const share = row(q);
    [...byId("looks").children].forEach((c, k) => c.style.setProperty("--heat", Math.sqrt(share[k]).toFixed(3)));
    const best = [...share.keys()].sort((a, b) => share[b] - share[a]).slice(0, 5).filter((k) => share[k] >= 0.005);
    const [before, after] = words.looks.split("%q");
    const part = (...parts) => { const span = node("span", "", ""); span.append(...parts); return span; };
    byId("strongest").replaceChildren(part(before, `${q} `, chip(tokens[q].text), after),
      ...best.map((k) => part(`${k} `, chip(tokens[k].text), ` ${Math.round(100 * share[k])}%`)));
    byId("row").style.top = labels + q * cell + "px";
  };
  const showHead = () => { if (all) { drawMatrix(); showLooks(); } };

  // The matrix: labels where there is room for them, else the cells alone.
  const matrix = byId("matrix");
  const cell = Math.max(1, Math.min(22, Math.floor(560 / n)));
  const labels = cell >= 14 ? 90 : 0;
  const drawMatrix = () => {
    const scale = window.devicePixelRatio || 1;
    const side = labels + n * cell;
    matrix.width = matrix.height = Math.ceil(side * scale);
    matrix.style.width = matrix.style.height = side + "px";
    const style = getComputedStyle(matrix);
    const color = (name) => style.getPropertyValue(name).trim();
    const pen = matrix.getContext("2d");
    pen.scale(scale, scale);
    pen.fillStyle = color("--grid");
    pen.fillRect(labels, labels, n * cell, n * cell);
    const gap = cell > 4 ? 1 : 0;
    for (let q = 0; q < n; q++) {
      row(q).forEach((share, k) => {
        pen.fillStyle = share ? `rgba(${color("--good")}, ${Math.sqrt(share)})` : "transparent";
        pen.fillRect(labels + k * cell, labels + q * cell, cell - gap, cell - gap);
      });
    }
    if (!labels) return;
    pen.fillStyle = color("--ink");
    pen.font = "12px ui-monospace, Menlo, Consolas, monospace";
    pen.textAlign = "right";
    pen.textBaseline = "middle";
    tokens.forEach((t, i) => {
      const at = labels + (i + 0.5) * cell;
      pen.fillText(t.text.slice(0, 11), labels - 5, at, labels - 8);
      pen.save();
      pen.translate(at, labels - 5);
      pen.rotate(Math.PI / 2);
      pen.fillText(t.text.slice(0, 11), 0, 0, labels - 8);
      pen.restore();
    });
  };
  Object.assign(byId("row").style, { left: labels + "px", width: n * cell + "px", height: cell + "px" });
  const cellAt = (e) => {
    const q = Math.floor((e.offsetY - labels) / cell), k = Math.floor((e.offsetX - labels) / cell);
    return q >= 0 && q < n && k >= 0 && k < n ? [q, k] : null;
  };
  matrix.addEventListener("pointermove", (e) => {
    const at = all && cellAt(e);
    byId("cell").textContent = at ? `${at[0]} “${tokens[at[0]].text}” → ${at[1]} “${tokens[at[1]].text}”: ${(100 * row(at[0])[at[1]]).toFixed(1)}%` : "\u00a0";
  });
  matrix.addEventListener("click", (e) => {
    const at = cellAt(e);
    if (at) { chosen = at[0]; show(); }
  });

  const fillHeads = () => {
    const kept = +headsOf.value;
    headsOf.replaceChildren(new Option(words.mean, -1), ...Array.from({ length: heads[+layers.value] }, (_, h) => new Option(h, h)));
    headsOf.value = kept < heads[+layers.value] ? kept : -1;
  };
  layers.replaceChildren(...heads.map((_, l) => new Option(l, l)));
  layers.value = layer;
  fillHeads();
  headsOf.value = head;
  layers.addEventListener("change", () => { fillHeads(); showHead(); });
  headsOf.addEventListener("change", showHead);

  byId("looks").append(...[...byId("tokens").children].map((c) => { c = c.cloneNode(true); c.removeAttribute("style"); return c; }));
  if (next) byId("tokens").append(chip(words.next, "end"));
  const strips = [strip(byId("tokens")), strip(byId("looks"))];
  const show = () => { strips.forEach((mark) => mark()); showExpected(); showLooks(); };
  show();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", showHead);
  try {
    all = await unpack();
    showHead();
  } catch {
    byId("attention").replaceChildren(node("p", "note", words.no_data));
  }
})();
