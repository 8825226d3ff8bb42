// The playground. Whatever a person or a student wrote becomes text, never markup: textContent only.
(() => {
  "use strict";
  const $ = (id) => document.getElementById(id);
  const HOTTEST = 2; // nats at which a token has the full colour
  const state = { students: [], examples: [], next: 0, key: sessionStorage.getItem("key") || "", abort: null, shaded: false, cards: [] };

  function make(tag, look, text) {
    const node = document.createElement(tag);
    if (look) node.className = look;
    if (text !== undefined) node.textContent = text;
    return node;
  }

  function button(text, look, onClick) {
    const node = make("button", look, text);
    node.type = "button";
    node.addEventListener("click", onClick);
    return node;
  }

  function say(text, bad = false) {
    $("status").textContent = text;
    $("status").classList.toggle("bad", bad);
  }

  // ---- the server ----

  async function request(path, body, signal) {
    const headers = { "Content-Type": "application/json" };
    if (state.key) headers.Authorization = `Bearer ${state.key}`;
    const options = body === undefined ? { headers } : { method: "POST", headers, body: JSON.stringify(body), signal };
    let response;
    try {
      response = await fetch(path, options);
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Error("The server does not answer. Is it still running?");
    }
    if (response.ok) return response;
    let message = `The server answered ${response.status}.`;
    try { message = (await response.json()).error.message; } catch { /* not JSON: the status has to do */ }
    if (response.status === 401) $("key-row").hidden = false;
    throw new Error(message);
  }

  async function* events(response) {
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const parts = (rest + value).split("\n\n");
      rest = parts.pop();
      for (const part of parts) {
        const data = part.replace(/^data: /, "");
        if (data === "[DONE]") return;
        const event = JSON.parse(data);
        if (event.error) throw new Error(event.error.message);
        yield event;
      }
    }
  }

  async function load() {
    let found;
    try {
      found = await (await request("playground/students")).json();
    } catch (error) {
      say(error.message, true);
      if (!$("key-row").hidden) $("key").focus();
      return;
    }
    $("key-row").hidden = true;
    state.students = found.students;
    state.examples = found.examples;
    $("file").textContent = found.feedback;
    const box = $("students");
    box.replaceChildren(box.querySelector("legend"));
    for (const student of found.students) {
      const label = make("label", "check");
      const input = make("input");
      input.type = "checkbox";
      input.checked = true;
      input.value = student.id;
      label.append(input, make("span", "", student.id), make("small", "", student.task ? `task ${student.task}` : "no task"));
      box.append(label);
    }
    $("example").hidden = !state.examples.length;
    $("send").disabled = false;
    say("");
    $("question").focus();
  }

  // ---- asking ----

  function sampling() {
    const body = { temperature: Number($("temperature").value) || 0, seed: Number($("seed").value) || 0 };
    if ($("tokens").value) body.max_tokens = Number($("tokens").value);
    return body;
  }

  async function ask() {
    const question = $("question").value.trim();
    const ids = [...document.querySelectorAll("#students input:checked")].map((node) => node.value);
    if (!question) { say("Write a question first.", true); $("question").focus(); return; }
    if (!ids.length) { say("Choose a student first.", true); return; }
    if (state.abort) return;
    state.abort = new AbortController();
    $("send").disabled = true;
    $("stop").hidden = false;
    say(`${ids.length === 1 ? "1 student is" : `${ids.length} students are`} writing …`);
    const section = make("section", "asked");
    section.append(make("h2", "", question));
    const grid = make("div", "beside");
    section.append(grid);
    $("answers").prepend(section);
    const cards = ids.map((id) => new Card(id, question));
    grid.append(...cards.map((card) => card.node));
    state.cards.push(...cards);
    const options = sampling();
    await Promise.all(cards.map((card) => card.write(options, state.abort.signal)));
    state.abort = null;
    $("send").disabled = false;
    $("stop").hidden = true;
    const failed = cards.filter((card) => card.failed).length;
    say(failed ? `${failed} of ${cards.length} could not answer.` : "Done. Is it right?", failed > 0);
  }

  const ENDED = { end: "end of text, no closing sentence", limit: "limit of segments or tokens", empty: "two empty segments", repetition: "repetition" };

  class Card {
    constructor(id, question) {
      this.id = id;
      this.question = question;
      this.student = state.students.find((student) => student.id === id);
      this.segments = [];
      this.text = "";
      this.scores = null;
      this.failed = false;
      this.node = make("article", "chain writing");
      this.node.setAttribute("aria-label", id);
      this.head = make("h3", "", id);
      this.list = make("ol", "segments");
      this.under = make("p", "under");
      this.unsure = make("p", "under unsure");
      this.unsure.hidden = true;
      this.node.append(this.head, this.list, this.unsure, this.under);
    }

    async write(options, signal) {
      const began = performance.now();
      let first = null;
      try {
        const body = { model: this.id, messages: [{ role: "user", content: this.question }], stream: true, stream_options: { include_usage: true }, ...options };
        let tokens = 0;
        for await (const event of events(await request("v1/chat/completions", body, signal))) {
          if (event.usage) tokens = event.usage.completion_tokens;
          for (const choice of event.choices) {
            const text = choice.delta.content;
            if (text) {
              first ??= performance.now();
              this.add(text, choice.smallsteps);
            }
            if (choice.finish_reason) this.result = { ...choice.smallsteps, finish: choice.finish_reason };
          }
        }
        this.finish(tokens, (performance.now() - began) / 1000, first === null ? null : (first - began) / 1000);
      } catch (error) {
        this.failed = error.name !== "AbortError";
        this.under.textContent = this.failed ? error.message : "stopped";
        this.under.classList.toggle("bad", this.failed);
      }
      this.node.classList.remove("writing");
    }

    add(text, { segment, kind }) {
      this.text += text;
      while (this.segments.length < segment) this.segments.push({ kind: null, text: "" });
      if (this.segments.length === segment) this.segments.push({ kind, text: text.trimStart() });
      else this.segments[segment].text += text;
      this.draw();
    }

    finish(tokens, seconds, first) {
      const { segments, answer, stopped, finish } = this.result;
      this.segments = segments;
      this.draw();
      if (this.student.task) {
        this.head.append(answer === null ? make("span", "badge open", "? no answer") : make("span", "badge", `answer ${answer}`));
      }
      const notes = [`${tokens} tokens`, `${seconds.toFixed(2)} s`];
      if (first !== null) notes.push(`first text after ${first.toFixed(2)} s`);
      if (ENDED[stopped]) notes.push(`ended: ${ENDED[stopped]}`);
      else if (finish === "length") notes.push("ended: maximum tokens");
      this.under.textContent = notes.join(" · ");
      this.node.append(this.feedback());
      $("legend").hidden = false;
      if (state.shaded) this.score();
    }

    draw() {
      const items = this.segments.flatMap((segment, number) => {
        if (!segment.text.trim()) return []; // a student may write nothing in its turn
        const look = segment.kind ? segment.kind.toLowerCase() : "whole";
        const item = make("li", look);
        if (segment.kind) {
          const tag = make("span", `tag ${look}`, segment.kind);
          tag.title = look === "es" ? "extractive" : "abstractive";
          item.append(tag);
        }
        const body = make("span", "text");
        const scores = state.shaded && this.scores ? this.scores[number] : null;
        if (scores) {
          item.classList.add("scored");
          paint(body, scores);
        } else body.textContent = segment.text;
        item.append(body);
        return item;
      });
      this.list.replaceChildren(...items);
      this.unsure.hidden = !(state.shaded && this.scores);
      if (!this.unsure.hidden) {
        const tokens = this.scores.flat().filter(([text, entropy]) => entropy !== null && text.trim());
        const least = tokens.sort((a, b) => b[1] - a[1]).slice(0, 3);
        this.unsure.textContent = `least sure of ${least.map(([text, entropy]) => `“${text.trim()}” (${entropy.toFixed(2)} nats)`).join(", ")}`;
      }
    }

    async score() {
      if (!this.result || this.scores) { this.draw(); return; }
      try {
        const body = { model: this.id, question: this.question, segments: this.segments };
        this.scores = (await (await request("playground/entropies", body)).json()).segments;
        this.draw();
      } catch (error) {
        say(error.message, true);
      }
    }

    feedback() {
      const box = make("div", "feedback");
      const saved = make("span", "saved");
      saved.setAttribute("role", "status");
      const text = this.text;
      const field = make("div", "edit-field");
      const area = make("textarea", "edit");
      area.rows = 6;
      area.value = text;
      area.id = `edit-${state.next += 1}`;
      area.addEventListener("input", () => {
        if (saved.textContent) saved.textContent = "Changed, not saved yet.";
      });
      const label = make("label", "", "Edited rationale. Right or Wrong saves it.");
      label.htmlFor = area.id;
      field.append(label, area);
      field.hidden = true;
      const verdicts = { right: button("✓ Right", "yes", () => save("right")), wrong: button("✗ Wrong", "no", () => save("wrong")) };
      const edit = button("Edit", "", () => {
        field.hidden = !field.hidden;
        edit.setAttribute("aria-expanded", String(!field.hidden));
        if (!field.hidden) area.focus();
      });
      edit.setAttribute("aria-expanded", "false");
      const save = async (verdict) => {
        saved.textContent = "saving …";
        const edited = field.hidden ? null : area.value;
        try {
          const row = { question: this.question, rationale: text, answer: this.result.answer, verdict, edited, student: this.id };
          const kept = await (await request("playground/feedback", row)).json();
          for (const [name, node] of Object.entries(verdicts)) node.setAttribute("aria-pressed", String(name === verdict));
          saved.textContent = kept.edited ? `Saved as ${verdict}, with your edit.` : `Saved as ${verdict}.`;
          saved.classList.remove("bad");
        } catch (error) {
          saved.textContent = error.message;
          saved.classList.add("bad");
        }
      };
      box.append(verdicts.right, verdicts.wrong, edit, field, saved);
      return box;
    }
  }

  function paint(body, scores) {
    let sum = 0, count = 0;
    for (const [text, entropy] of scores) {
      if (entropy === null) { body.append(text); continue; }
      const token = make("span", "token", text);
      token.dataset.entropy = entropy.toFixed(3);
      token.style.setProperty("--h", Math.min(1, entropy / HOTTEST).toFixed(3));
      body.append(token);
      sum += entropy;
      count += 1;
    }
    if (count) body.append(make("span", "mean", `mean ${(sum / count).toFixed(2)} nats`));
  }

  // ---- events of the page ----

  $("ask").addEventListener("submit", (e) => { e.preventDefault(); ask(); });
  $("question").addEventListener("keydown", (e) => {
    if (e.key === "Enter" && (e.ctrlKey || e.metaKey)) { e.preventDefault(); ask(); }
  });
  $("stop").addEventListener("click", () => state.abort && state.abort.abort());
  $("example").addEventListener("click", () => {
    state.example = ((state.example ?? -1) + 1) % state.examples.length;
    $("question").value = state.examples[state.example];
    $("question").focus();
  });
  $("entropy").addEventListener("change", (e) => {
    state.shaded = e.target.checked;
    $("answers").classList.toggle("shaded", state.shaded);
    $("heat").hidden = !state.shaded;
    for (const card of state.cards) if (card.result) { if (state.shaded) card.score(); else card.draw(); }
  });
  $("use-key").addEventListener("click", () => {
    state.key = $("key").value.trim();
    sessionStorage.setItem("key", state.key);
    load();
  });
  $("key").addEventListener("keydown", (e) => { if (e.key === "Enter") { e.preventDefault(); $("use-key").click(); } });

  const tip = $("tip");
  document.addEventListener("pointerover", (e) => {
    const token = e.target.closest && e.target.closest(".shaded .token");
    tip.hidden = !token;
    if (!token) return;
    tip.textContent = `${token.textContent.trim() || "␣"}   ${token.dataset.entropy} nats`;
    const box = token.getClientRects()[0];
    tip.style.left = `${Math.min(Math.max(6, box.left), window.innerWidth - tip.offsetWidth - 6)}px`;
    const above = box.top - tip.offsetHeight - 6;
    tip.style.top = `${above > 4 ? above : box.bottom + 6}px`;
  });
  document.addEventListener("scroll", () => { tip.hidden = true; }, { passive: true });
  load();
})();
