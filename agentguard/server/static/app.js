// Live pages without a build: what the server sends is put in place, and nothing is decided by it.
"use strict";

const TAP_MS = 700; // a tap so soon after the card changed was meant for what stood there before
const SHOWN_ENDED_MS = 5000;
const body = document.body;
const html = window.trustedTypes
  ? window.trustedTypes.createPolicy("agentguard", { createHTML: (text) => text })
  : { createHTML: (text) => text };

let changedAt = performance.now();
let clockOffset = 0; // Redis's clock, on which deadlines stand, ahead of this machine's

const byId = (id) => document.getElementById(id);
const say = (text) => {
  const live = byId("live");
  live.textContent = text;
  setTimeout(() => { if (live.textContent === text) live.textContent = ""; }, 4000);
};

function parsed(text) { // nodes of our own server's markup, whose every value it escaped
  const holder = document.createElement("template");
  holder.innerHTML = html.createHTML(text);
  return holder.content;
}

async function fetched(path) {
  const reply = await fetch(path, { headers: { "x-agentguard-part": "1" }, credentials: "same-origin", redirect: "error" });
  if (!reply.ok) throw new Error(String(reply.status));
  return reply.text();
}

// --- times ---------------------------------------------------------------------------------------------------------------

function left(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds >= 3600) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min left`;
  if (seconds >= 60) return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")} left`;
  return seconds ? `${seconds} s left` : "too late";
}

function tick() {
  const now = Date.now() + clockOffset;
  for (const each of document.querySelectorAll("[data-left]")) each.textContent = left(Number(each.dataset.left) - now);
}

function localTimes(root) {
  const today = new Date().toDateString();
  for (const each of root.querySelectorAll("time[data-at]")) {
    const at = new Date(Number(each.dataset.at));
    const time = at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
    each.textContent = at.toDateString() === today ? time : `${at.toLocaleDateString()} ${time}`;
  }
}

function learnClock(root) {
  const told = root.querySelector("[data-now]");
  if (told) clockOffset = Number(told.dataset.now) - Date.now();
}

// --- the inbox -----------------------------------------------------------------------------------------------------------

let waiting = Number((byId("count") || {}).textContent || 0); // on all pages of the list

function count() {
  const badge = byId("count");
  if (badge) { badge.textContent = waiting; badge.hidden = waiting === 0; }
  const empty = byId("empty");
  if (empty) empty.hidden = document.querySelectorAll("#rows .row").length > 0;
  document.title = `${waiting ? `(${waiting}) ` : ""}Inbox · agentguard`;
}

function place(row) {
  const rows = byId("rows");
  const due = Number(row.dataset.deadline);
  const after = [...rows.children].find((other) => Number(other.dataset.deadline) > due);
  rows.insertBefore(row, after || null);
}

function rowTold(told) { // a row takes the place of those that stood for its calls one by one
  const row = parsed(told.html).firstElementChild;
  waiting = told.waiting;
  localTimes(row);
  const known = byId(row.id);
  const others = told.instead_of.map((id) => byId(`r-${id}`)).filter((each) => each && each !== known);
  const hadFocus = [known, ...others].some((each) => each && each.contains(document.activeElement));
  const isNew = !known && !others.length;
  for (const each of others) each.remove();
  if (known) known.replaceWith(row);
  else if (told.waits) place(row);
  if (told.waits && isNew) { row.classList.add("fresh"); setTimeout(() => row.classList.remove("fresh"), 1500); say("A new request waits"); }
  if (!told.waits) setTimeout(() => { row.remove(); count(); }, SHOWN_ENDED_MS);
  if (hadFocus && row.isConnected) row.querySelector("a").focus();
  tick();
  count();
}

let readings = 0; // of a page's part, so that an older reading never takes the place of a newer one
let isReading = false;
const toldMeanwhile = []; // the list that is being read may be older than these

async function inboxAnew() {
  const reading = ++readings;
  isReading = true;
  try {
    const page = parsed(await fetched(location.pathname + location.search));
    const fresh = page.querySelector("#rows");
    if (!fresh || reading !== readings) return;
    waiting = Number(page.getElementById("count").textContent);
    learnClock(fresh.parentNode);
    const focused = document.activeElement && document.activeElement.closest(".row");
    byId("rows").replaceChildren(...fresh.children);
    if (focused && byId(focused.id)) byId(focused.id).querySelector("a").focus();
    localTimes(byId("rows"));
    tick();
    count();
  } finally {
    if (reading === readings) {
      isReading = false;
      for (const told of toldMeanwhile.splice(0)) rowTold(told);
    }
  }
}

// --- one request ---------------------------------------------------------------------------------------------------------

const KEPT = "input:not([type=hidden]), select, textarea";

function written(card) { // what its person opened and typed, by where it stands
  const fields = [...card.querySelectorAll(KEPT)].filter((each) => each.name);
  const where = (each) => `${each.form ? each.form.getAttribute("action") : ""} ${each.name} ${each.type === "radio" ? each.value : ""}`;
  return { open: [...card.querySelectorAll("details[open]")].map((each) => each.id), fields: new Map(fields.map((each) => [where(each), each])), where };
}

function rewritten(fresh, old) { // on the card that takes its place; what was ticked only where the card is the one that was ticked
  const before = written(old), isSame = fresh.dataset.shown === old.dataset.shown;
  for (const each of fresh.querySelectorAll("details")) if (before.open.includes(each.id)) each.open = true;
  for (const [where, each] of written(fresh).fields) {
    const was = before.fields.get(where);
    if (!was) continue;
    if (each.type === "checkbox" || each.type === "radio") each.checked = isSame ? was.checked : each.checked;
    else if (each.tagName !== "SELECT" || [...each.options].some((option) => option.value === was.value)) each.value = was.value;
    if (was === document.activeElement) refocused.push([each, was.selectionStart, was.selectionEnd]);
  }
}

const refocused = [];
let filled = null; // what stands in a part that is fetched once somebody opens it

async function fill(details) {
  const place = details.querySelector("[data-fill]");
  if (!details.open || !place || place.dataset.filled) return;
  place.dataset.filled = "1";
  filled = filled || parsed(await fetched(place.dataset.fill)).firstElementChild;
  place.replaceChildren(filled);
  localTimes(place);
  tick();
}

document.addEventListener("toggle", (event) => { fill(event.target).catch(() => {}); }, true);

async function cardAnew() {
  const reading = ++readings;
  const fresh = parsed(await fetched(body.dataset.part)).firstElementChild;
  const old = byId("card");
  if (!fresh || reading !== readings || fresh.dataset.version === old.dataset.version) return;
  const focused = document.activeElement && document.activeElement.id;
  rewritten(fresh, old);
  old.replaceWith(fresh);
  changedAt = performance.now();
  if (focused && byId(focused)) byId(focused).focus();
  for (const [each, start, end] of refocused.splice(0)) { each.focus(); if (each.setSelectionRange && start !== null) each.setSelectionRange(start, end); }
  localTimes(fresh);
  learnClock(fresh);
  tick();
  held();
  say("This request changed");
}

function held() {
  const decides = document.querySelectorAll(".decide");
  for (const each of decides) each.classList.add("held");
  setTimeout(() => { for (const each of decides) each.classList.remove("held"); }, TAP_MS);
}

function tooSoon(event) {
  if (!event.target.closest("[data-decides]") && !event.target.closest(".decide")) return;
  if (performance.now() - changedAt >= TAP_MS) return;
  event.preventDefault();
  event.stopPropagation();
  say("This changed just now: look again, then decide");
}

for (const kind of ["click", "submit"]) document.addEventListener(kind, tooSoon, true);
document.addEventListener("submit", (event) => { // one press, one decision
  if (event.defaultPrevented || !event.target.matches("[data-decides]")) return;
  for (const button of event.target.querySelectorAll("button")) button.setAttribute("aria-disabled", "true");
  if (event.target.dataset.sent) event.preventDefault();
  event.target.dataset.sent = "1";
});

const stored = (act) => { try { return act(localStorage); } catch { return null; } }; // a browser may keep nothing

document.addEventListener("submit", (event) => { // over plain http other ports have the cookie of this login; its key they don't
  const key = stored((kept) => kept.getItem("agentguard-key"));
  if (event.defaultPrevented || event.target.method !== "post" || !key) return;
  const field = event.target.querySelector("input[name=key]") || event.target.appendChild(document.createElement("input"));
  Object.assign(field, { type: "hidden", name: "key", value: key });
});

// --- listening -----------------------------------------------------------------------------------------------------------

function listen() {
  const source = new EventSource("/live");
  const anew = body.dataset.live === "inbox" ? inboxAnew : cardAnew;
  source.addEventListener("anew", () => anew().catch(() => {}));
  source.addEventListener("request", (event) => {
    const told = JSON.parse(event.data);
    if (body.dataset.live === "inbox" && isReading) toldMeanwhile.push(told);
    else if (body.dataset.live === "inbox") rowTold(told);
    else if (told.id === body.dataset.request || (told.turn && told.turn === body.dataset.turn)) cardAnew().catch(() => {});
  });
  source.onopen = () => body.setAttribute("data-connected", "1");
  source.onerror = () => body.removeAttribute("data-connected");
  addEventListener("pagehide", () => source.close());
}

// --- keys ----------------------------------------------------------------------------------------------------------------

function move(step) {
  const links = [...document.querySelectorAll(".row a, .item h2 a")];
  if (!links.length) return;
  const at = links.indexOf(document.activeElement);
  links[Math.min(links.length - 1, Math.max(0, at < 0 ? 0 : at + step))].focus();
}

const KEYS = {
  j: () => move(1),
  k: () => move(-1),
  a: () => byId("approve") && byId("approve").focus(),
  r: () => {
    const details = byId("rejecting");
    if (details) { details.open = true; byId("reason").focus(); }
  },
  i: () => location.assign("/"),
  h: () => location.assign("/history"),
  "?": () => byId("keys") && byId("keys").showModal(),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select, dialog[open]")) return;
  const act = KEYS[event.key];
  if (act) { event.preventDefault(); act(); }
});

// --- pages ---------------------------------------------------------------------------------------------------------------

localTimes(document);
learnClock(document);
tick();
setInterval(tick, 1000);
switch (body.dataset.live) {
  case "inbox":
  case "request":
  case "turn":
    held();
    listen();
    break;
  case "login": // a link from elsewhere came without the cookie of this site; from here it goes along
    fetch("/session", { credentials: "same-origin" }).then((reply) => { if (reply.status === 204) location.replace(body.dataset.next); });
    break;
  case "entered":
    if (body.dataset.key) stored((kept) => kept.setItem("agentguard-key", body.dataset.key));
    break;
  case "local":
    byId("secret").value = location.hash.slice(1);
    history.replaceState(null, "", location.pathname);
    break;
}
