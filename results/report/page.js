"use strict";
// The browser of samples. Every word of the data becomes a text node or an attribute, never markup.

const data = JSON.parse(document.getElementById("data").textContent);
const PAGE = 50;
const WIDE = 6; // so many models fit beside a dialogue on a phone
const at = (id) => document.getElementById(id);
const percent = (fraction) => (100 * fraction).toFixed(2);
const letter = (place) => (place < 26 ? String.fromCharCode(65 + place) : String(place + 1));
const several = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;

let task = data.tasks[0];
let listed = [];
let shown = 0;
let current = null;

function element(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function fill(select, options) {
  select.replaceChildren(...options.map(([value, text]) => element("option", { value }, text)));
}

// Filters

function chosen(id) {
  const value = at(id).value;
  return value === "" ? task.models.map((_, place) => place) : [Number(value)];
}

const KINDS = {
  all: () => true,
  flips: ({ answers }) =>
    chosen("model").some((m) => answers[m].exact) && chosen("other").some((o) => !answers[o].exact),
  misses: ({ answers }) => chosen("model").some((m) => !answers[m].exact),
  failures: ({ answers }) => chosen("model").some((m) => answers[m].failures.length > 0),
};

function matches(sample) {
  const { length, id } = task.dialogues[sample.dialogue];
  const wanted = at("search").value.trim().toLowerCase();
  return (
    KINDS[at("kind").value](sample) &&
    (at("length").value === "" || length === at("length").value) &&
    (at("share").value === "" || sample.shares.includes(at("share").value)) &&
    [sample.query, sample.id, id].some((text) => text.toLowerCase().includes(wanted))
  );
}

function changeTask() {
  task = data.tasks[Number(at("task").value)];
  const models = task.models.map((name, place) => [String(place), `${letter(place)} ${name}`]);
  fill(at("model"), [["", "any"], ...models]);
  fill(at("other"), [["", "any other"], ...models]);
  const shares = [...new Set(task.samples.flatMap((sample) => sample.shares))].sort();
  fill(at("share"), [["", "all"], ...shares.map((share) => [share, share])]);
  const names = models.map(([, name]) => name).join(", ");
  at("key").textContent = `${names}. Numbers are the joint F1 of that request alone, %.`;
  at("share-field").hidden = shares.length === 0;
  filter();
}

function filter() {
  const kind = at("kind").value;
  at("model-field").hidden = kind === "all";
  at("other-field").hidden = kind !== "flips";
  at("model-word").textContent = kind === "flips" ? "Exact in" : "Model";
  listed = task.samples.filter(matches);
  shown = 0;
  at("list").replaceChildren();
  at("count").textContent = `${listed.length} of ${several(task.samples.length, "request")}`;
  more();
  close();
}

// The list

function more() {
  for (const sample of listed.slice(shown, shown + PAGE)) at("list").append(item(sample, shown++));
  at("more").hidden = shown >= listed.length;
}

function item(sample, place) {
  const dialogue = task.dialogues[sample.dialogue];
  const marks = sample.answers.map((answer, model) => {
    const state = answer.failures.length ? "failed" : answer.exact ? "exact" : "inexact";
    const told = { failed: "failed", exact: "exact", inexact: percent(answer.f1) }[state];
    return element("span", { class: state, title: task.models[model] }, `${letter(model)} ${told}`);
  });
  const button = element("button", { type: "button" }, sample.query);
  button.append(
    element("span", { class: "about" }, `${sample.id} · ${several(dialogue.turns.length, "turn")}`),
    element("span", { class: "marks" }, ...marks),
  );
  button.addEventListener("click", () => open(place));
  return element("li", {}, button);
}

// One sample

function close() {
  current = null;
  const hint = listed.length ? "Choose a sample from the list." : "No sample is like that.";
  at("sample").replaceChildren(element("p", { class: "basis" }, hint));
}

function open(place) {
  while (shown <= place) more();
  for (const button of at("list").querySelectorAll("[aria-current]")) button.removeAttribute("aria-current");
  at("list").children[place].firstChild.setAttribute("aria-current", "true");
  current = place;
  const sample = listed[place];
  const dialogue = task.dialogues[sample.dialogue];
  const heading = element("h3", { tabindex: "-1" }, sample.query);
  const about = [sample.id, several(dialogue.turns.length, "turn"), ...sample.shares].join(" · ");
  const table = dialogueTable(sample, dialogue);
  at("sample").replaceChildren(
    steps(place),
    heading,
    element("p", { class: "basis" }, about),
    element("ul", { class: "answers" }, ...sample.answers.map((answer, model) => answerItem(sample, answer, model))),
    onlyFragments(table),
    task.models.length > WIDE ? scrolling(table) : table, // whose head stays in view
  );
  heading.focus({ preventScroll: true });
  at("sample").scrollIntoView({ block: "start" });
}

function steps(place) {
  const step = (text, to, name) => {
    const button = element("button", { type: "button", class: name }, text);
    button.disabled = to !== null && (to < 0 || to >= listed.length);
    button.addEventListener("click", () => (to === null ? back() : open(to)));
    return button;
  };
  return element(
    "div", { class: "steps" },
    step("Previous", place - 1, "previous"), step("Next", place + 1, "next"), step("Back to the list", null, "back"),
  );
}

function back() {
  at("list").children[current].firstChild.focus();
}

function answerItem(sample, answer, model) {
  const counted = ["utterances", "images"].map((noun, side) => {
    const gold = new Set(sample.gold[side]);
    const hit = answer.found[side].filter((id) => gold.has(id)).length;
    return `${noun}: ${hit} found, ${gold.size - hit} missed, ${answer.found[side].length - hit} too many`;
  });
  const verdict = answer.exact ? "exact" : `joint F1 of this request ${percent(answer.f1)} %`;
  const outside = answer.outside.flat().length;
  const lines = [
    ...answer.failures.map(([kind, why]) => (why ? `${kind}: ${why}` : kind)),
    ...(outside ? [`ids out of range: ${JSON.stringify(answer.outside)}`] : []),
  ];
  const name = element("strong", {}, `${letter(model)} ${task.models[model]}`);
  const made = element("li", {}, element("p", {}, name, ` ${verdict}`), element("p", {}, counted.join("; ")));
  for (const line of lines) made.append(element("p", { class: "extra" }, line));
  answer.raw.forEach((text, slice) => {
    const label = answer.raw.length > 1 ? `Raw answer to slice ${slice + 1}` : "Raw answer";
    const words = text === "" ? "(empty)" : text;
    made.append(element("details", {}, element("summary", {}, label), element("pre", {}, words)));
    made.lastChild.open = text.length < 400;
  });
  return made;
}

// The dialogue: a row an utterance and one a picture, a column gold and one a model

function dialogueTable(sample, dialogue) {
  const gold = sample.gold.map((ids) => new Set(ids));
  const found = sample.answers.map((answer) => answer.found.map((ids) => new Set(ids)));
  const heads = [mark("th", "Gold", "gold", "first"), ...task.models.map((name, m) => mark("th", letter(m), name, ""))];
  for (const head of heads) head.setAttribute("scope", "col");
  const head = element("tr", {}, element("th", { scope: "col" }, "Id"), element("th", { scope: "col", class: "said" }, "Said"), ...heads);
  const body = element("tbody", {});
  for (const [id, speaker, text, images] of dialogue.turns) {
    const name = element("span", { class: "speaker" }, `${speaker}: `);
    body.append(row(String(id), [name, text], 0, id, gold, found));
    for (const image of images) body.append(row("", [picture(dialogue, image)], 1, image, gold, found));
  }
  const caption = "✓ gold and retrieved, ○ gold but missed, ✗ retrieved but not gold. Pictures have rows of their own.";
  const table = element("table", { class: "dialogue" }, element("caption", {}, caption), element("thead", {}, head), body);
  if (task.models.length > WIDE) table.style.minWidth = `${18 + 1.75 * task.models.length}rem`;
  return table;
}

function scrolling(table) {
  return element("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": "Dialogue" }, table);
}

function row(label, said, side, id, gold, found) {
  const isGold = gold[side].has(id);
  const cells = found.map((sets) => {
    const has = sets[side].has(id);
    if (!has && !isGold) return mark("td", "", "", "");
    if (has && isGold) return mark("td", "✓", "gold and retrieved", "found");
    return has ? mark("td", "✗", "retrieved but not gold", "extra") : mark("td", "○", "gold but missed", "missed");
  });
  const made = element(
    "tr", isGold ? { class: "gold" } : {},
    element("th", { scope: "row" }, label), element("td", { class: "said" }, ...said),
    mark("td", isGold ? "✓" : "", isGold ? "gold" : "", "found"), ...cells,
  );
  made.dataset.inFragment = String(isGold || found.some((sets) => sets[side].has(id)));
  return made;
}

function mark(tag, sign, words, name) {
  const cell = element(tag, { class: `mark ${name}` });
  if (sign) cell.append(element("span", { "aria-hidden": "true", title: words }, sign), element("span", { class: "hidden-text" }, words));
  return cell;
}

function picture(dialogue, image) {
  const [path, place] = dialogue.images[image] ?? ["", "the record has no such picture"];
  const name = `image ${image}: ${path}`;
  const label = element("span", { class: "about" }, name);
  if (typeof place === "string") return element("span", { class: "placeholder" }, `${name} (${place})`);
  const [src, width, height] = data.pictures[place];
  return element("span", {}, element("img", { src, width, height, alt: name }), label);
}

function onlyFragments(table) {
  const box = element("input", { type: "checkbox", id: "only" });
  box.addEventListener("change", () => {
    for (const line of table.tBodies[0].rows) line.hidden = box.checked && line.dataset.inFragment === "false";
  });
  return element("label", { class: "tick" }, box, "Only what is gold or was retrieved by some model");
}

fill(at("task"), data.tasks.map(({ title }, place) => [String(place), title]));
at("task-field").hidden = data.tasks.length < 2;
at("task").addEventListener("change", changeTask);
for (const id of ["kind", "model", "other", "length", "share"]) at(id).addEventListener("change", filter);
at("search").addEventListener("input", filter);
at("filters").addEventListener("submit", (event) => event.preventDefault());
at("more").addEventListener("click", more);
changeTask();
