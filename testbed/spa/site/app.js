// The shop: one page, four views by the address's fragment, and the panel beside them.
import { begin, connect, isSignedIn, look, signIn, signOut } from './agent.js';
import { explain, forget, saw } from './hops.js';
import { say } from './dom.js';
import { problem, views, welcome } from './views.js';

const main = document.getElementById('view');
const nav = document.querySelector('nav');
const sign = document.getElementById('sign');
const progress = document.getElementById('progress');
let notice = ''; // why nobody is signed in
let drawn = 0; // counts drawings: an answer that comes late must not overwrite a newer view

const wanted = () => (location.hash.slice(2) in views ? location.hash.slice(2) : 'events');

async function show() {
  const mine = ++drawn;
  nav.hidden = !isSignedIn();
  sign.hidden = false;
  sign.textContent = isSignedIn() ? 'Sign out' : 'Sign in';
  for (const link of nav.children) {
    if (link.hash === `#/${wanted()}`) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
  if (!isSignedIn()) return put(welcome(notice));
  busy(true);
  let content;
  try {
    content = await views[wanted()]();
  } catch (error) {
    if (mine !== drawn) return; // the session ended, and the page says so already
    content = problem(error, show);
  }
  if (mine !== drawn) return;
  put(content);
  await explain();
}

function put(content) {
  busy(false);
  const moved = main.querySelector('h1') !== null; // not on the first drawing: the page's own beginning is read then
  main.replaceChildren(...content);
  const heading = main.querySelector('h1');
  document.title = `${heading.textContent} – The ticket shop`;
  if (moved) heading.focus({ preventScroll: true });
}

function busy(now) {
  main.setAttribute('aria-busy', String(now));
  progress.hidden = !now;
}

function sessionChanged(why) {
  notice = isSignedIn() ? '' : why;
  forget();
  say(isSignedIn() ? 'You are signed in.' : 'You are signed out.');
  show();
}

// lookAgain finds out what happened while the page was not looked at, or when it comes back by the back button.
async function lookAgain() {
  try {
    await look();
  } catch {
    // The next call says what is wrong, where somebody waits for it.
  }
}

async function start() {
  document.getElementById('panel').open = matchMedia('(min-width: 60rem)').matches;
  connect(saw, sessionChanged, lookAgain);
  forget();
  busy(true);
  try {
    await begin();
    if (!isSignedIn()) show();
  } catch (error) {
    sign.hidden = false;
    sign.textContent = 'Sign in';
    put(problem(error, () => location.reload()));
  }
}

sign.addEventListener('click', async () => {
  busy(true);
  try {
    await (isSignedIn() ? signOut() : signIn());
  } catch (error) {
    put(problem(error, show));
  }
});
// The fragment names the view, so the skip link must not change it.
document.querySelector('.skip').addEventListener('click', (event) => {
  event.preventDefault();
  main.focus();
});
addEventListener('hashchange', show);
addEventListener('pageshow', (event) => event.persisted && lookAgain());
document.addEventListener('visibilitychange', () => document.visibilityState === 'visible' && lookAgain());
start();
