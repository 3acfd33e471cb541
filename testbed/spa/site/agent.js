// The shop's side of the OAuth agent and of the gateway. The browser keeps the cookies and shows them to no script; all
// that is held here is the CSRF token, in memory.

const agent = '/oauth-agent/';
const timeout = 15_000; // milliseconds for one request

let csrf = '';
let signedIn = false;
let renewal = null; // the refresh under way, shared by all calls of this tab
let watch = () => {}; // sees each answer of the gateway
let changed = () => {}; // hears that the session began or ended, and why
const tabs = new BroadcastChannel('phantomgate-shop');

// Failure is an answer that is not what was asked for. Its message says what to do next.
export class Failure extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

// connect names who sees each answer, who hears of the session's changes, and who looks when another tab began one.
export function connect(onAnswer, onChange, onNews) {
  watch = onAnswer;
  changed = onChange;
  tabs.onmessage = (event) => (event.data === 'signed-out' ? become(false, '', 'elsewhere') : onNews());
}

export const isSignedIn = () => signedIn;
export const csrfLength = () => csrf.length;

function become(now, token, why) {
  const other = signedIn !== now || csrf !== token;
  signedIn = now;
  csrf = token;
  if (other) changed(why);
}

async function send(method, path, body) {
  const headers = { Accept: 'application/json' };
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  if (method !== 'GET' && csrf) headers['x-demo-csrf'] = csrf;
  const began = performance.now();
  let response, text;
  try {
    response = await fetch(path, {
      method, headers, body: body === undefined ? undefined : JSON.stringify(body),
      cache: 'no-store', signal: AbortSignal.timeout(timeout),
    });
    text = await response.text();
  } catch {
    throw new Failure(0, 'unreachable', 'The gateway does not answer. See that it runs, then try again.');
  }
  let data = null;
  try {
    data = JSON.parse(text);
  } catch {
    // 204, or an answer of something that is not ours; its status says enough.
  }
  return { method, path, status: response.status, ok: response.ok, data, timing: response.headers.get('server-timing'), took: performance.now() - began };
}

function failure({ status, data }) {
  const code = data?.code ?? data?.error ?? '';
  const known = {
    401: 'The gateway refuses this session. Sign in again.',
    403: 'The shop may not do this for you: its token lacks the right. Sign in as somebody who may.',
    502: 'The issuer’s answer was not usable. Its log says why.',
    503: 'The issuer is not available. Wait a moment, then try again.',
    504: 'The issuer is too slow. Wait a moment, then try again.',
  };
  const said = data?.message ?? data?.error_description;
  return new Failure(status, code, known[status] ?? (said ? `This was not accepted: ${said}.` : `Something failed (status ${status}). Try again.`));
}

async function ask(method, endpoint, body) {
  const answer = await send(method, agent + endpoint, body);
  if (!answer.ok) throw failure(answer);
  return answer.data;
}

// begin tells the agent where the page was opened, which ends a login when the issuer has sent the browser here. The
// issuer's answer leaves the address bar before it is used.
export async function begin() {
  const pageUrl = location.href;
  if (new URLSearchParams(location.search).has('state')) history.replaceState(null, '', location.pathname + location.hash);
  const state = await ask('POST', 'login/end', { pageUrl });
  become(state.isLoggedIn, state.csrf ?? '', 'begun');
  if (state.handled) tabs.postMessage('signed-in');
}

// look asks whether there is a session, which another tab may have begun or ended.
export async function look() {
  try {
    const state = await ask('GET', 'session');
    become(state.isLoggedIn, state.csrf ?? '', state.isLoggedIn ? 'begun' : 'ended');
  } catch (error) {
    if (error.status !== 401) throw error;
    become(false, '', 'ended');
  }
}

export async function signIn() {
  const { authorizationRequestUrl } = await ask('POST', 'login/start', {});
  location.assign(authorizationRequestUrl);
}

export async function signOut() {
  let answer = await send('POST', agent + 'logout', {});
  if (answer.status === 401) { // another tab has begun another session
    await look();
    answer = await send('POST', agent + 'logout', {});
  }
  if (!answer.ok) throw failure(answer);
  become(false, '', 'signed-out');
  tabs.postMessage('signed-out');
  location.assign(answer.data.url);
}

// refresh returns whether there is a session to go on with. Calls at the same time share one; other tabs have their own.
export function refresh() {
  renewal ??= renew().finally(() => { renewal = null; });
  return renewal;
}

async function renew() {
  const before = csrf;
  const answer = await send('POST', agent + 'refresh');
  if (answer.ok) return true;
  if (answer.status !== 401) throw failure(answer);
  await look(); // ended, or another than this tab knew of
  if (!signedIn) tabs.postMessage('signed-out');
  return signedIn && csrf !== before;
}

export const userInfo = () => ask('GET', 'userInfo');

// call asks an API. A 401 is followed by one refresh and one more try, never by a third.
export async function call(method, path, body) {
  let answer = await send(method, path, body);
  watch(answer);
  const tooWeak = answer.data?.error === 'insufficient_user_authentication'; // which no refresh mends
  if (answer.status === 401 && signedIn && !tooWeak && await refresh()) {
    answer = await send(method, path, body);
    watch(answer);
  }
  if (!answer.ok) throw failure(answer);
  return answer.data;
}
