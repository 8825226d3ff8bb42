"use strict";
// The switch of the main figure and the chain browser. Text from the data reaches the page as text nodes only (textContent), never as markup.
(() => {
  const $ = (id) => document.getElementById(id);
  const copy = $("copy");
  if (copy && navigator.clipboard) {
    copy.hidden = false;
    copy.addEventListener("click", async () => {
      await navigator.clipboard.writeText($("command").textContent);
      copy.textContent = "Copied";
      setTimeout(() => { copy.textContent = "Copy"; }, 1500);
    });
  }
  const choice = $("cost-switch");
  if (choice) {
    const buttons = [...choice.querySelectorAll("button")];
    choice.hidden = buttons.length < 2;
    for (const button of buttons) {
      button.addEventListener("click", () => {
        for (const other of buttons) {
          other.setAttribute("aria-pressed", String(other === button));
          $(`cost-${other.dataset.cost}`).hidden = other !== button;
        }
      });
    }
  }
  const source = $("chain-data");
  if (!source) return;
  const data = JSON.parse(source.textContent);
  const PAGE = 20;
  const ENDED = { end: "end of text, no stop sign", limit: "limit of segments or tokens", empty: "two empty segments in a row", repetition: "repetition" };
  const { problems, gold, runs, binary } = data;
  const seeds = [...new Set(runs.map((run) => run.seed))];
  const names = [...new Set(runs.map((run) => run.name))];
  const maximum = Math.max(0.001, quantile(gold.flatMap((g) => (g ? g.t.map((t) => t[1]) : [])), 0.98));
  const state = { filter: "all", arm: "", seed: seeds.length ? String(0) : "", find: "", page: 0, shaded: false };

  function quantile(values, q) {
    if (!values.length) return 0;
    values.sort((a, b) => a - b);
    return values[Math.floor(q * (values.length - 1))];
  }
  function make(name, className, text) {
    const node = document.createElement(name);
    if (className) node.className = className;
    if (text !== undefined) node.textContent = text;
    return node;
  }

  // A score that is not right or wrong counts as high from its run's median on.
  const medians = runs.map((run) => quantile(run.cells.filter((c) => c && c.v !== null).map((c) => c.v), 0.5));
  const indexOf = new Map(runs.map((run, i) => [run, i]));
  const right = (cell, run) => cell.v !== null && (binary ? cell.v >= 1 : cell.v >= medians[indexOf.get(run)]);
  const graded = (cell) => cell && cell.v !== null;
  const FILTERS = {
    all: { label: "All", test: () => true },
    wrong: { label: binary ? "Wrong" : "Low score", test: (cell, run) => graded(cell) && !right(cell, run) },
    right: { label: binary ? "Right" : "High score", test: (cell, run) => graded(cell) && right(cell, run) },
    unfinished: { label: "Unfinished", test: (cell) => cell && (cell.e !== "stop_sign" || !cell.p) },
    disagree: { label: "Arms disagree" },
  };

  const shown = () => runs.filter((run) => state.seed === "all" || seeds[Number(state.seed)] === run.seed);
  const asked = () => shown().filter((run) => !state.arm || run.name === names[Number(state.arm)]);
  function passes(filter, i, all, some) {
    if (filter === "all") return true;
    if (filter === "disagree") {
      const verdicts = all.filter((run) => graded(run.cells[i])).map((run) => right(run.cells[i], run));
      return verdicts.includes(true) && verdicts.includes(false);
    }
    return some.some((run) => FILTERS[filter].test(run.cells[i], run));
  }
  const texts = new Map();
  function haystack(i) {
    if (!texts.has(i)) {
      const parts = [problems[i].id, problems[i].q, problems[i].a || "", ...(problems[i].c || [])];
      for (const cell of [gold[i], ...runs.map((run) => run.cells[i])]) if (cell) parts.push(cell.s.map((s) => s[1]).join(" "));
      texts.set(i, parts.join("\n").toLowerCase());
    }
    return texts.get(i);
  }

  const buttons = {};
  for (const [key, filter] of Object.entries(FILTERS)) {
    if (key === "disagree" && names.length < 2) continue;
    if (key !== "all" && !runs.length) continue;
    const button = make("button", "", filter.label);
    button.type = "button";
    button.dataset.filter = key;
    button.append(make("span", "count"));
    button.addEventListener("click", () => change({ filter: key }));
    buttons[key] = button;
    $("filters").append(button);
  }
  function options(select, entries, value) {
    for (const [v, label] of entries) {
      const option = make("option", "", label);
      option.value = v;
      select.append(option);
    }
    select.value = value;
  }
  options($("arm"), [...(names.length === 1 ? [] : [["", "any arm"]]), ...names.map((n, i) => [String(i), n])], names.length === 1 ? "0" : "");
  $("arm").parentNode.hidden = names.length < 2;
  options($("seed"), [...seeds.map((s, i) => [String(i), String(s ?? "–")]), ["all", "all"]], state.seed);
  $("seed-label").hidden = seeds.length < 2;
  $("entropy-label").hidden = !gold.some((g) => g && g.t.length);
  $("entropy-scale").textContent = `0 to ${maximum.toFixed(2)} and above`;
  $("arm").addEventListener("change", (e) => change({ arm: e.target.value }));
  $("seed").addEventListener("change", (e) => change({ seed: e.target.value }));
  $("entropy").addEventListener("change", (e) => change({ shaded: e.target.checked }, true));
  let waiting;
  $("find").addEventListener("input", (e) => {
    clearTimeout(waiting);
    waiting = setTimeout(() => change({ find: e.target.value.trim().toLowerCase() }), 120);
  });
  $("tools").addEventListener("submit", (e) => e.preventDefault());
  $("tools").hidden = false;

  function change(what, stay) {
    Object.assign(state, what);
    if (!stay) state.page = 0;
    draw();
  }

  function draw() {
    const all = shown(), some = asked();
    const found = problems.map((_, i) => i).filter((i) => !state.find || haystack(i).includes(state.find));
    let visible = found;
    for (const [key, button] of Object.entries(buttons)) {
      const matches = found.filter((i) => passes(key, i, all, some));
      button.lastChild.textContent = matches.length;
      button.setAttribute("aria-pressed", String(key === state.filter));
      if (key === state.filter) visible = matches;
    }
    const pages = Math.max(1, Math.ceil(visible.length / PAGE));
    state.page = Math.min(Math.max(0, state.page), pages - 1);
    const from = state.page * PAGE, part = visible.slice(from, from + PAGE);
    $("status").textContent = visible.length
      ? `Problems ${from + 1} to ${from + part.length} of ${visible.length}` + (visible.length < problems.length ? ` (${problems.length} in all)` : "")
      : "No problem matches.";
    $("problems").classList.toggle("shaded", state.shaded);
    $("entropy-key").hidden = !state.shaded;
    $("problems").replaceChildren(...(part.length ? part.map((i) => card(i, all)) : [make("p", "nothing", "Nothing to show: choose another filter, arm or search.")]));
    for (const place of document.querySelectorAll("[data-pager]")) pager(place, pages);
  }

  function pager(place, pages) {
    place.hidden = pages < 2;
    if (!place.firstChild) {
      for (const [label, step] of [["Previous", -1], ["Next", 1]]) {
        const button = make("button", "", label);
        button.type = "button";
        button.addEventListener("click", () => {
          change({ page: state.page + step }, true);
          if (place.classList.contains("bottom")) $("chains").scrollIntoView();
        });
        place.append(button);
      }
      place.insertBefore(make("span"), place.lastChild);
    }
    const [back, label, on] = place.children;
    back.disabled = state.page === 0;
    on.disabled = state.page >= pages - 1;
    label.textContent = `Page ${state.page + 1} of ${pages}`;
  }

  function card(i, all) {
    const problem = problems[i];
    const node = make("article", "problem");
    node.dataset.id = problem.id;
    const head = make("header");
    head.append(make("span", "", `${problem.n} of ${data.of}`), make("code", "", problem.id));
    const title = make("h3");
    highlight(title, problem.q || "(the question is not in this run folder)");
    title.id = `problem-${i}`;
    node.setAttribute("aria-labelledby", title.id);
    node.append(head, title);
    if (problem.c && problem.c.length) {
      const list = make("ol", "choices-list");
      for (const choice of problem.c) list.append(make("li", "", choice));
      node.append(list);
    }
    const beside = make("div", "beside");
    if (gold[i] || problem.a !== null) beside.append(goldChain(gold[i], problem));
    for (const run of all) beside.append(chain(run, run.cells[i]));
    node.append(beside);
    return node;
  }

  function goldChain(cell, problem) {
    const node = make("div", "chain");
    const head = make("h4", "", "Gold");
    if (cell && cell.c) head.append(make("small", "", `cut by ${cell.c}`));
    if (problem.a !== null && problem.a !== undefined) head.append(make("span", "badge gold", `answer ${problem.a}`));
    node.append(head);
    if (cell) node.append(segments(cell.s, cell.t));
    return node;
  }

  function chain(run, cell) {
    const node = make("div", `chain c${run.colour}`);
    const head = make("h4", "", run.name);
    if (state.seed === "all" && seeds.length > 1) head.append(make("small", "", `seed ${run.seed}`));
    node.append(head);
    if (!cell) {
      node.append(make("p", "under", "no prediction"));
      return node;
    }
    head.append(badge(cell));
    node.append(segments(cell.s, []));
    const notes = [];
    if (cell.e !== "stop_sign") notes.push(`ended: ${ENDED[cell.e] || cell.e}`);
    if (cell.n) notes.push(`${cell.n} tokens`);
    if (notes.length) node.append(make("p", "under", notes.join(" · ")));
    return node;
  }

  function badge(cell) {
    if (!cell.p) return make("span", "badge open", "? unparsed");
    if (cell.v === null) return make("span", "badge gold", `answer ${cell.a ?? "–"}`);
    if (!binary) return make("span", "badge gold", `score ${(100 * cell.v).toFixed(1)}`);
    return cell.v >= 1 ? make("span", "badge right", `✓ right: ${cell.a}`) : make("span", "badge wrong", `✗ wrong: ${cell.a}`);
  }

  function segments(parts, tokens) {
    const list = make("ol", "segments");
    let start = 0, next = 0;
    for (const [kind, text] of parts) {
      const look = kind ? kind.slice(0, 2).toLowerCase() : "whole";
      const item = make("li", look + (tokens.length ? " scored" : ""));
      if (kind) {
        const tag = make("span", `tag ${look}`, kind);
        tag.title = (look === "es" ? "extractive" : "abstractive") + (kind.endsWith("?") ? ", judged by its words" : "");
        item.append(tag);
      }
      const body = make("span", "text");
      const end = start + text.length;
      if (!tokens.length) {
        if (text.trim()) highlight(body, text.trim());
        else body.append(make("span", "empty-text", "empty"));
      } else {
        let sum = 0, count = 0;
        // A token that crosses a border of segments is shown in both.
        while (next < tokens.length) {
          const from = Math.max(start, next ? tokens[next - 1][0] : 0), to = Math.min(end, tokens[next][0]);
          const piece = make("span", "token", text.slice(from - start, to - start));
          piece.dataset.entropy = tokens[next][1].toFixed(3);
          piece.style.setProperty("--h", Math.min(1, tokens[next][1] / maximum).toFixed(3));
          if (to > from) { body.append(piece); sum += tokens[next][1]; count += 1; }
          if (tokens[next][0] > end) break;
          next += 1;
          if (to === end) break;
        }
        if (count && state.shaded) body.append(make("span", "mean", `mean ${(sum / count).toFixed(2)} nats`));
      }
      start = end;
      item.append(body);
      list.append(item);
    }
    return list;
  }

  function highlight(node, text) {
    const lower = text.toLowerCase();
    let at = 0;
    // Lower case may change a text's length (İ); then offsets would lie, and nothing is marked.
    while (state.find && lower.length === text.length) {
      const hit = lower.indexOf(state.find, at);
      if (hit < 0) break;
      node.append(text.slice(at, hit), make("mark", "", text.slice(hit, hit + state.find.length)));
      at = hit + state.find.length;
    }
    node.append(text.slice(at));
  }

  const tip = $("tip");
  document.addEventListener("pointerover", (e) => {
    const token = e.target.closest && e.target.closest(".token");
    tip.hidden = !token;
    if (!token) return;
    tip.textContent = `${JSON.stringify(token.textContent.trim()).slice(1, -1) || "␣"}   ${token.dataset.entropy} nats`;
    const box = token.getClientRects()[0];
    const left = Math.min(Math.max(6, box.left), window.innerWidth - tip.offsetWidth - 6);
    const above = box.top - tip.offsetHeight - 6;
    tip.style.left = `${left}px`;
    tip.style.top = `${above > 4 ? above : box.bottom + 6}px`;
  });
  document.addEventListener("scroll", () => { tip.hidden = true; }, { passive: true });
  draw();
})();
