// The panel: what each hop of the last call held. All of it comes from the answers themselves: Server-Timing, which the
// demo's gateway writes, and the API's own account of what it verified (whoami).
import { call, csrfLength, isSignedIn } from './agent.js';
import { el } from './dom.js';

const remembered = 5; // calls shown
const api = /^\/api\/([a-z]+)\//;
const shownClaims = ['sub', 'aud', 'scope', 'client_id', 'region', 'act', 'exp'];

const calls = []; // the newest first
let verified = null; // { audience, claims } of the last whoami
let exchanged = null; // the claims that the discount API verified, when the basket called it
let asking = false;

// saw takes an answer of the gateway and shows it.
export function saw(answer) {
  const entry = { method: answer.method, path: answer.path, status: answer.status, took: answer.took, ...readTiming(answer.timing) };
  calls.unshift(entry);
  calls.length = Math.min(calls.length, remembered);
  document.getElementById('last').textContent = `${kindOf(entry)} · ${entry.status}`;
  draw();
}

// readTiming reads `gateway;desc="hit";dur=1.5, api;dur=1.2`, in milliseconds (W3C Server Timing).
export function readTiming(header) {
  const timing = {};
  for (const part of (header ?? '').split(',')) {
    const [name, ...parameters] = part.trim().split(';');
    for (const parameter of parameters) {
      const [key, value] = parameter.trim().split('=');
      if (key === 'dur' && Number.isFinite(Number.parseFloat(value))) timing[name] = Number.parseFloat(value);
      if (key === 'desc' && name === 'gateway') timing.swap = (value ?? '').replaceAll('"', '');
    }
  }
  return timing;
}

// explain asks the API that was called last what it verified. It follows a call and is itself none to be explained.
export async function explain() {
  const audience = calls.map((c) => api.exec(c.path)?.[1]).find(Boolean);
  if (!audience || asking || !isSignedIn()) return;
  asking = true;
  try {
    verified = { audience, claims: (await call('GET', `/api/${audience}/whoami`)).claims };
    exchanged = audience === 'shoppingbasket' ? (await call('GET', '/api/shoppingbasket/whoami/discount')).claims : exchanged;
  } catch {
    verified = exchanged = null; // what went wrong stands among the calls
  } finally {
    asking = false;
    draw();
  }
}

export function forget() {
  verified = exchanged = null;
  draw();
}

const kindOf = ({ swap, status }) => (status >= 400 ? 'refused' : swap || 'passed');

const span = (ms) => (ms < 1 ? `${Math.round(ms * 1000)} µs` : `${ms.toFixed(1)} ms`);

// own is the gateway's share: all the time it had the request, without the API's.
const own = ({ gateway, api: upstream = 0 }) => (gateway === undefined ? null : Math.max(0, gateway - upstream));

function draw() {
  document.getElementById('hops').replaceChildren(browserHop(), gatewayHop(), apiHop(), nextHop());
}

const hop = (name, holds, ...rest) => el('li', { class: 'hop' }, el('h3', {}, name), el('p', {}, holds), ...rest);
const facts = (pairs) => el('dl', {}, pairs.flatMap(([name, value]) => [el('dt', {}, name), el('dd', {}, value)]));

function browserHop() {
  const readable = document.cookie === '' ? 'none' : document.cookie.split('; ').map((c) => c.split('=')[0]).join(', ');
  const stored = localStorage.length + sessionStorage.length;
  return hop('This page', isSignedIn() ? 'A session, but no token: its cookies are kept from every script.' : 'Nothing. You are not signed in.',
    facts([
      ['readable cookies', readable],
      ['CSRF token', csrfLength() ? `${csrfLength()} characters` : 'none'],
      ['web storage', stored === 0 ? 'nothing' : `${stored} entries`],
    ]));
}

function gatewayHop() {
  if (calls.length === 0) return hop('Gateway', 'It opens the cookies, and swaps the reference inside for a JWT. No call yet.');
  const rows = calls.map((c) => {
    const time = own(c);
    const kind = kindOf(c);
    return el('tr', {},
      el('td', {}, el('span', { class: `tag ${kind}` }, kind === 'refused' ? c.status : kind)),
      el('td', { class: 'path' }, `${c.method} `, c.path.replace(/^\/api\//, '').split('/').flatMap((word, i) => (i ? [el('wbr'), `/${word}`] : [word]))),
      el('td', {}, time === null ? span(c.took) : span(time)));
  });
  const timed = calls.some((c) => c.gateway !== undefined);
  return hop('Gateway', 'It opens the cookies, and swaps the reference inside for a JWT, from its cache (hit) or the issuer (miss).',
    el('table', {}, el('caption', { class: 'visually-hidden' }, 'The last calls'),
      el('thead', { class: 'visually-hidden' }, el('tr', {}, ['Swap', 'Call', timed ? 'Time in the gateway' : 'Time'].map((h) => el('th', { scope: 'col' }, h)))),
      el('tbody', {}, rows)));
}

function claimPairs(claims) {
  return shownClaims.filter((name) => claims[name] !== undefined).map((name) => [name, claimText(name, claims[name])]);
}

function claimText(name, value) {
  if (name === 'exp') return `in ${Math.max(0, Math.round(value - Date.now() / 1000))} s`;
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

function apiHop() {
  if (!verified) return hop('API', 'It verifies a JWT itself and believes no header. No call yet.');
  return hop(`API: ${verified.audience}`, 'It verified this JWT itself: for this API and these scopes only.', facts(claimPairs(verified.claims)));
}

function nextHop() {
  if (!exchanged) return hop('Next API', 'The basket asks it for your discount, with a token exchanged for a narrower one. Open your basket to see it.');
  return hop('Next API: discount', 'It verified the exchanged JWT: the same user, one right that this page does not have, and who acts for you.', facts(claimPairs(exchanged)));
}
