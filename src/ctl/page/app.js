"use strict";

const SVG = "http://www.w3.org/2000/svg";
const ROW = 26;
const PADDING = 34; // of what a timeline stands in
const STALE_MS = 15000; // without a word from leaderctl

let last = null; // the document that is shown
let heard = 0; // when
let ahead = 0; // of this clock, the server's

function range() {
  return Number(document.querySelector("input[name=range]:checked").value);
}

function now() {
  return Date.now() + ahead;
}

// Texts of Redis are only ever texts here: nothing is parsed as HTML.
function make(tag, attributes, ...children) {
  const svg = ["svg", "g", "rect", "line", "text", "title", "defs", "pattern"].includes(tag);
  const element = svg ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

function span(ms) {
  if (ms === null || ms === undefined || ms < 0) return "-";
  const s = ms / 1000;
  if (s < 10) return s.toFixed(1) + " s";
  if (s < 120) return Math.round(s) + " s";
  if (s < 7200) return Math.round(s / 60) + " min";
  if (s < 172800) return Math.round(s / 3600) + " h";
  return Math.round(s / 86400) + " d";
}

function clock(ms) {
  return ms === null ? "-" : new Date(ms).toLocaleTimeString();
}

function day(ms) {
  return ms === null ? "-" : new Date(ms).toLocaleString();
}

function leaderOf(lease) {
  if (lease.leader !== null) return lease.leader;
  if (lease.state === "paused" && lease.paused) {
    return "paused by " + lease.paused.by + (lease.paused.reason ? ": " + lease.paused.reason : "");
  }
  if (lease.state === "closed" && lease.terms.length > 0) return "done by " + lease.terms[0].leader;
  return "-";
}

// A long key is broken behind a colon, rather than in a word.
function breakable(key) {
  return key.split(/(?<=:)/).flatMap((part) => [part, make("wbr")]);
}

function row(lease) {
  const cells = [
    make("span", { class: "state " + lease.state }, lease.state),
    leaderOf(lease),
    lease.term === null ? "-" : "#" + lease.term,
    day(lease.since_ms),
    lease.renewed_ms === null ? "-" : span(now() - lease.renewed_ms) + " ago",
    lease.ttl_ms > 0 ? span(lease.ttl_ms) : "-",
    lease.candidates === null ? "?" : String(lease.candidates.length + (lease.state === "led" ? 1 : 0)),
  ];
  return make("tr", {}, make("th", { scope: "row" }, ...breakable(lease.key)), ...cells.map((c) => make("td", {}, c)));
}

/* ---- the timeline ---- */

function describe(term) {
  const end = term.to_ms === null ? "still leads" : "until " + day(term.to_ms);
  return `${term.leader} led from ${day(term.from_ms)}, ${end}` +
    (term.lasted_ms === null ? "" : `, for ${span(term.lasted_ms)}`) +
    (term.reason ? `; ended: ${term.reason}` : "");
}

function mark(shape, text) {
  shape.setAttribute("tabindex", "0");
  shape.setAttribute("role", "img");
  shape.setAttribute("aria-label", text);
  shape.append(make("title", {}, text));
  return shape;
}

// Between two runs of a job that was done, nobody is missed.
function gaps(terms) {
  const found = [];
  terms.forEach((term, i) => {
    const end = i === 0 ? now() : terms[i - 1].from_ms;
    if (term.to_ms === null || end <= term.to_ms || term.exit_status !== null) return;
    found.push([term.to_ms, end]);
  });
  return found;
}

function axis(drawing, from, to, x, height, parts) {
  for (let i = 0; i <= parts; i++) {
    const at = from + ((to - from) * i) / parts;
    drawing.append(make("line", { x1: x(at), x2: x(at), y1: 0, y2: height, class: "grid" }));
    const anchor = i === 0 ? "start" : i === parts ? "end" : "middle";
    drawing.append(make("text", { x: x(at), y: height + 15, "text-anchor": anchor }, clock(at)));
  }
}

function hatch() {
  const pattern = make("pattern", { id: "hatch", width: 6, height: 6, patternUnits: "userSpaceOnUse",
    patternTransform: "rotate(45)" });
  pattern.append(make("line", { x1: 0, x2: 0, y1: 0, y2: 6, class: "hatch" }));
  return make("defs", {}, pattern);
}

function timeline(lease) {
  const to = now();
  const from = to - range();
  const terms = lease.terms.filter((term) => term.to_ms === null || term.to_ms >= from);
  const names = [...new Set(terms.map((term) => term.leader))].sort();
  if (names.length === 0) return make("p", { class: "empty" }, "Nobody has led in this time.");
  const height = names.length * ROW;
  const width = Math.max(document.getElementById("details").clientWidth - PADDING, 280);
  const left = Math.min(150, width / 4); // of which the names of leaders have so much
  const x = (ms) => left + (Math.max(ms, from) - from) / (to - from) * (width - left);
  const drawing = make("svg", { viewBox: `0 0 ${width} ${height + 20}`, role: "group",
    "aria-label": "Who led " + lease.key });
  drawing.append(hatch());
  axis(drawing, from, to, x, height, width < 600 ? 2 : 4);
  for (const [begin, end] of gaps(terms)) {
    const text = `nobody led from ${day(begin)} for ${span(end - begin)}`;
    drawing.append(mark(make("rect", { x: x(begin), y: 0, height, class: "gap",
      width: Math.max(x(end) - x(begin), 1.5) }), text));
  }
  names.forEach((name, i) => drawing.append(make("text", { x: 0, y: i * ROW + 17, class: "name" },
    name.length > left / 7.5 ? name.slice(0, left / 7.5 - 1) + "…" : name)));
  for (const term of terms) {
    const end = term.to_ms === null ? to : term.to_ms;
    const bar = make("rect", { x: x(term.from_ms), y: names.indexOf(term.leader) * ROW + 4, height: ROW - 8,
      rx: 2, width: Math.max(x(end) - x(term.from_ms), 2), class: term.to_ms === null ? "bar now" : "bar" });
    drawing.append(mark(bar, describe(term)));
  }
  return drawing;
}

/* ---- acts ---- */

// What can be done to a lease, where leaderctl allows it (--allow-control).
const ACTS = {
  pause: { title: "Pause", means: "The leader stops its command, and nobody leads.", asks: ["reason", "span"] },
  resume: { title: "Resume", means: "A candidate leads again.", asks: [] },
  "step-down": { title: "Step down", means: "The leader stops its command, and another one leads.", asks: ["to"] },
};
const ANSWER_MS = 15000; // in which what came of an act has to be told

let asked = null; // the act that the dialog is for: its name and lease
let awaited = null; // the act that was sent: its id, and the timer
let token = null;

// The address that leaderctl printed has it, and whoever looks over a shoulder need not see it.
function takeToken() {
  const given = /^#token=(.+)$/.exec(location.hash);
  if (given !== null) {
    sessionStorage.setItem("token", given[1]);
    history.replaceState(null, "", location.pathname);
  }
  token = sessionStorage.getItem("token");
}

function forgetToken() {
  token = null;
  sessionStorage.removeItem("token");
}

function element(name) {
  return document.getElementById("act-" + name);
}

function actsOf(lease) {
  if (!last.control) return [];
  if (lease.paused !== null) return ["resume"];
  return lease.state === "led" ? ["pause", "step-down"] : ["pause"];
}

function buttons(lease) {
  return make("p", { class: "acts" }, ...actsOf(lease).map((act) => {
    const button = make("button", { type: "button", "aria-label": `${ACTS[act].title} ${lease.key}` },
      ACTS[act].title);
    button.addEventListener("click", () => ask(act, lease));
    return button;
  }));
}

function ask(act, lease) {
  const { title, means, asks } = ACTS[act];
  asked = { act, key: lease.key };
  element("title").textContent = `${title}: ${lease.key}`;
  element("means").textContent = means;
  element("do").textContent = title;
  element("problem").textContent = "";
  for (const name of ["reason", "span", "to"]) element(name).hidden = !asks.includes(name);
  element("token").hidden = token !== null;
  const names = [...new Set((lease.candidates || []).map((candidate) => candidate.name))].sort();
  element("to").querySelector("select").replaceChildren(make("option", { value: "" }, "anybody"),
    ...names.map((name) => make("option", { value: name }, name)));
  document.querySelector("#act form").reset();
  document.getElementById("act").showModal();
}

function wishOf(form) {
  const wish = { id: Math.random().toString(36).slice(2), act: asked.act, key: asked.key };
  if (asked.act === "pause" && form.reason.value !== "") wish.reason = form.reason.value;
  if (asked.act === "pause" && form.span.value !== "0") wish.for_ms = Number(form.span.value);
  if (asked.act === "step-down" && form.to.value !== "") wish.to = form.to.value;
  return wish;
}

async function send(wish) {
  const answer = await fetch("/act", { method: "POST", body: JSON.stringify(wish),
    headers: { "Content-Type": "application/json", Authorization: "Bearer " + token } });
  if (answer.status === 401) forgetToken();
  if (answer.status !== 202) throw new Error(await answer.text());
}

// One at a time; and what becomes of it is none of a dialog's that was opened meanwhile.
async function act(event) {
  event.preventDefault();
  const form = event.target;
  if (element("do").disabled) return;
  if (token === null) token = form.token.value;
  const wish = wishOf(form);
  const dialog = asked;
  element("do").disabled = true;
  expect(wish.id, wish.key);
  try {
    await send(wish);
    sessionStorage.setItem("token", token);
    if (asked === dialog) document.getElementById("act").close();
  } catch (error) {
    stopAwaiting();
    // One that never worked may be what is wrong.
    if (sessionStorage.getItem("token") === null) token = null;
    if (asked === dialog) element("problem").textContent = error.message;
    else tell(`${wish.key}: ${error.message}`, true);
    element("token").hidden = token !== null;
  } finally {
    element("do").disabled = false;
  }
}

// The button that opened it was drawn anew meanwhile.
function refocus() {
  const label = `${ACTS[asked.act].title} ${asked.key}`;
  const again = [...document.querySelectorAll("#details button")]
    .find((button) => button.getAttribute("aria-label") === label);
  if (again) again.focus();
}

function expect(id, key) {
  stopAwaiting();
  awaited = { id, key, timer: setTimeout(() => {
    tell(`${key}: nothing was heard of what came of it; look below`, true);
    awaited = null;
  }, ANSWER_MS) };
}

function stopAwaiting() {
  if (awaited !== null) clearTimeout(awaited.timer);
  awaited = null;
}

function tell(text, bad) {
  const said = document.getElementById("said");
  said.textContent = text;
  said.className = bad ? "bad" : "";
  said.hidden = false;
}

function hearOutcome(event) {
  const outcome = JSON.parse(event.data);
  if (awaited === null || outcome.id !== awaited.id) return;
  tell(`${awaited.key}: ${outcome.text}`, !outcome.done);
  stopAwaiting();
}

/* ---- one lease ---- */

function standby(candidate) {
  return make("li", {}, `${candidate.name} stands by on ${candidate.host || "?"}, version ` +
    `${candidate.version || "?"}, seen ${span(now() - candidate.seen_ms)} ago`);
}

function details(lease) {
  const article = make("article", {}, make("h2", {}, lease.key));
  for (const warning of lease.warnings) article.append(make("p", { class: "warning" }, warning));
  if (lease.foreign !== null) article.append(make("p", {}, "In the key: " + lease.foreign));
  if (lease.pause_lost) {
    const { by, reason } = lease.pause_lost;
    article.append(make("p", {}, `A pause by ${by}${reason ? ": " + reason : ""} was lost`));
  }
  for (const cordon of lease.cordoned) {
    article.append(make("p", {}, `${cordon.name} is cordoned by ${cordon.by}`));
  }
  if (lease.last_success_ms !== null) article.append(make("p", {}, "Last done " + day(lease.last_success_ms)));
  if (lease.candidates && lease.candidates.length > 0) {
    article.append(make("ul", {}, ...lease.candidates.map(standby)));
  }
  article.append(timeline(lease));
  if (actsOf(lease).length > 0) article.append(buttons(lease));
  return article;
}

/* ---- the page ---- */

// What has the focus keeps it over a redraw.
function focused() {
  const label = document.activeElement && document.activeElement.getAttribute("aria-label");
  return label && document.activeElement.closest("#details") ? label : null;
}

// A button that is pressed must still be there when it is let go.
let pressed = false;

function drawCounter() {
  const place = document.getElementById("counter");
  place.hidden = !last.counter;
  if (!last.counter) return;
  const value = last.counter.value === null ? "-" : last.counter.value;
  place.replaceChildren(last.counter.key + " ", make("strong", {}, value));
}

function draw() {
  if (last === null || pressed) return;
  const kept = focused();
  drawCounter();
  document.getElementById("leases").replaceChildren(...(last.leases.length > 0 ? last.leases.map(row) :
    [make("tr", {}, make("td", { colspan: "8", class: "empty" }, "There is no lease yet."))]));
  document.getElementById("details").replaceChildren(...last.leases.map(details));
  if (kept !== null) {
    const again = [...document.querySelectorAll("#details [aria-label]")]
      .find((element) => element.getAttribute("aria-label") === kept);
    if (again) again.focus();
  }
}

function say(text, bad) {
  const status = document.getElementById("status");
  if (status.textContent !== text) status.textContent = text;
  status.className = bad ? "bad" : "";
  document.body.classList.toggle("stale", bad);
}

function judge() {
  if (heard === 0) return;
  if (Date.now() - heard > STALE_MS) say("leaderctl is not heard any more; trying again", true);
  else if (last.error !== null) say(last.error, true);
  else say(`live, ${last.leases.length === 1 ? "one lease" : last.leases.length + " leases"}`, false);
}

function listen() {
  const events = new EventSource("/events");
  events.onmessage = (event) => {
    const told = JSON.parse(event.data);
    heard = Date.now();
    // Redis is away: what was known last stays.
    if (told.error !== null && last !== null) last = { ...last, error: told.error };
    else last = told;
    if (told.error === null) ahead = told.at_ms - Date.now();
    judge();
    draw();
  };
  events.addEventListener("act", hearOutcome);
  events.addEventListener("alive", () => { heard = Date.now(); judge(); });
}

document.querySelectorAll("input[name=range]").forEach((input) => input.addEventListener("change", draw));
window.addEventListener("resize", draw);
window.addEventListener("pointerdown", () => { pressed = true; });
for (const end of ["pointerup", "pointercancel", "blur"]) {
  window.addEventListener(end, () => setTimeout(() => { pressed = false; }));
}
document.querySelector("#act form").addEventListener("submit", act);
element("cancel").addEventListener("click", () => document.getElementById("act").close());
document.getElementById("act").addEventListener("close", refocus);
window.addEventListener("hashchange", takeToken);
takeToken();
setInterval(() => { judge(); draw(); }, 1000);
listen();
