"use strict";
// One chain at a time. Texts are set as text, never as markup.

const at = (id) => document.getElementById(id);
let chain = null;   // what the server said of the chain on the page
let kinds = [];     // "ES", "AS" or null for each sub-sentence
let place = 0;      // the sub-sentence that e and a label
let saving = Promise.resolve();
let judging = false;   // whether a judgement is under way: a second r is not meant for the next chain

function say(text, bad = false) {
  at("status").textContent = text;
  at("status").classList.toggle("bad", bad);
}

async function ask(path, body) {
  const options = body && { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  let reply;
  try {
    reply = await fetch(path, options);
  } catch {
    throw new Error("The server does not answer. Was it stopped?");
  }
  const content = await reply.json();
  if (!reply.ok) throw new Error(content.error.message);
  return content;
}

async function show(number, note = "") {
  await saving;
  try {
    chain = await ask(`review/chains/${number}`);
  } catch (error) {
    say(error.message, true);
    return;
  }
  kinds = chain.kinds || chain.pieces.map(() => null);
  place = 0;
  at("question").textContent = chain.question;
  at("answer").textContent = chain.answer ?? "none";
  at("number").value = number + 1;
  at("number").max = chain.count;
  at("previous").disabled = number === 0;
  at("next").disabled = number + 1 === chain.count;
  at("feedback-file").textContent = chain.files[0];
  at("labels-file").textContent = chain.files[1];
  at("edited").value = chain.edited ?? chain.pieces.join("");
  openEdit(chain.edited !== null);
  at("saved").textContent = "";
  say(note);
  drawVerdict();
  drawProgress();
  drawPieces();
}

function drawProgress() {
  at("progress").textContent = `${chain.number + 1} of ${chain.count}; ${chain.judged} judged, ${chain.labelled} labelled`;
}

function drawVerdict() {
  for (const verdict of ["right", "wrong"]) at(verdict).setAttribute("aria-pressed", chain.verdict === verdict);
}

function drawPieces() {
  at("pieces").replaceChildren(...chain.pieces.map((piece, n) => {
    const item = document.createElement("li");
    const tag = document.createElement("span");
    const text = document.createElement("span");
    const kind = kinds[n];
    if (kind) item.className = kind.toLowerCase();
    tag.className = `tag ${(kind || "").toLowerCase()}`;
    tag.textContent = kind || "–";
    text.className = "text";
    text.textContent = piece.trim();
    item.setAttribute("aria-current", n === place);
    item.append(tag, text);
    item.addEventListener("click", () => { place = n; drawPieces(); });
    return item;
  }));
  const open = kinds.filter((kind) => !kind).length;
  at("labels").textContent = open === kinds.length ? "" : open ? `${open} to label` : "all labelled";
}

function move(step) {
  if (!chain) return;
  place = Math.min(Math.max(place + step, 0), chain.pieces.length - 1);
  drawPieces();
}

function label(kind) {
  if (!chain) return;
  kinds[place] = kind;
  if (place + 1 < kinds.length) place += 1;
  drawPieces();
  if (kinds.includes(null)) return;
  const body = { number: chain.number, kinds: [...kinds] };
  const labelled = chain;
  saving = saving.then(async () => {
    try {
      labelled.labelled = (await ask("review/labels", body)).labelled;
      if (labelled === chain) { at("labels").textContent = "all labelled, saved"; drawProgress(); }
    } catch (error) {
      say(error.message, true);
    }
  });
}

function judge(verdict) {
  if (!chain || judging) return;
  judging = true;
  const text = at("edited").value;
  const edited = at("edit-field").hidden || text.trim() === chain.pieces.join("").trim() ? null : text;
  const judged = chain;
  saving = saving.then(async () => {
    try {
      const reply = await ask("review/feedback", { number: judged.number, verdict, edited });
      if (judged.verdict === null) judged.judged += 1;
      judged.verdict = verdict;
      return `aved as ${verdict}${reply.edited ? ", with your edit" : ""}.`;
    } catch (error) {
      say(error.message, true);
      return null;
    }
  });
  saving.then((saved) => {
    judging = false;
    if (saved === null || judged !== chain) return;
    if (judged.number + 1 < judged.count) {
      show(judged.number + 1, `Chain ${judged.number + 1} s${saved} p goes back to it.`);
      return;
    }
    at("saved").textContent = `S${saved} That was the last chain.`;
    drawVerdict();
    drawProgress();
  });
}

function openEdit(open) {
  at("edit-field").hidden = !open;
  at("edit").setAttribute("aria-expanded", open);
}

function toggleEdit() {
  openEdit(at("edit-field").hidden);
  if (!at("edit-field").hidden) at("edited").focus();
}

const KEYS = {
  j: () => move(1),
  k: () => move(-1),
  e: () => label("ES"),
  a: () => label("AS"),
  n: () => at("next").click(),
  p: () => at("previous").click(),
  r: () => judge("right"),
  w: () => judge("wrong"),
  i: toggleEdit,
};

document.addEventListener("keydown", (event) => {
  if (event.target.matches("textarea, input")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const act = KEYS[event.key];
  if (!act || event.ctrlKey || event.altKey || event.metaKey) return;
  event.preventDefault();
  act();
});
at("es").addEventListener("click", () => label("ES"));
at("as").addEventListener("click", () => label("AS"));
at("right").addEventListener("click", () => judge("right"));
at("wrong").addEventListener("click", () => judge("wrong"));
at("edit").addEventListener("click", toggleEdit);
at("previous").addEventListener("click", () => show(chain.number - 1));
at("next").addEventListener("click", () => show(chain.number + 1));
at("number").addEventListener("change", () => show(Number(at("number").value) - 1));
show(0);
