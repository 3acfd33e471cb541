// What the shop shows. Each view fetches what it needs and returns its elements.
import { call, refresh, signIn, signOut, userInfo, Failure } from './agent.js';
import { explain } from './hops.js';
import { day, el, money, say, sum } from './dom.js';

const basketPath = '/api/shoppingbasket/basket';

export const views = { events, basket, checkout, account };

const title = (text) => el('h1', { tabindex: '-1' }, text);

// button shows that it is at work, and what went wrong, beside itself.
function button(text, kind, work) {
  const node = el('button', { class: kind, type: 'button' }, text);
  const note = el('span', { class: 'note', role: 'alert' });
  node.addEventListener('click', async () => {
    if (node.getAttribute('aria-disabled') === 'true') return;
    node.setAttribute('aria-disabled', 'true');
    note.textContent = '';
    try {
      await work(node);
    } catch (error) {
      note.textContent = error instanceof Failure ? error.message : 'Something failed. Reload the page.';
    } finally {
      node.removeAttribute('aria-disabled');
    }
  });
  return [node, note];
}

// label gives a button a text, and a name that says what it is about to those who do not see what stands beside it. The name
// holds the text (WCAG 2.5.3): who speaks to the page says what they read.
function label(node, text, name) {
  node.textContent = text;
  node.setAttribute('aria-label', name);
}

export function welcome(notice) {
  const notices = {
    'signed-out': 'You have signed out.',
    elsewhere: 'You signed out in another tab.',
    ended: 'Your session has ended: it ran out, or was revoked. Sign in to go on.',
  };
  return [
    notices[notice] && el('p', { class: 'notice' }, notices[notice]),
    title('Tickets for twelve evenings'),
    el('p', { class: 'lead' }, 'Sign in to see what is on. This page never holds a token: beside it you see what each hop holds instead.'),
    el('p', {}, button('Sign in', 'go', signIn)),
    el('p', { class: 'quiet' }, 'A demo: you are ', el('strong', {}, 'alice'), ' (password alice-demo, in the EU) or ', el('strong', {}, 'bob'), ' (bob-demo, in the US).'),
  ].filter(Boolean);
}

// problem is a view that could not be shown.
export function problem(error, again) {
  const text = error instanceof Failure ? error.message : 'The page failed. Reload it.';
  const action = error.status === 401 ? button('Sign in', 'go', signIn) : button('Try again', 'go', again);
  return [title('That did not work'), el('div', { class: 'alert', role: 'alert' }, text), el('p', {}, action)];
}

async function events() {
  const list = await call('GET', '/api/eventcatalog/events');
  return [title('Events'), el('ul', { class: 'tickets' }, list.map(ticket))];
}

function ticket(event) {
  const add = button('Add', 'other', async (node) => {
    const now = await call('GET', basketPath); // another tab may have added one
    const quantity = 1 + (now.lines.find((line) => line.event === event.id)?.quantity ?? 0);
    await call('POST', basketPath, { event: event.id, quantity });
    label(node, `Added (${quantity})`, `Added (${quantity}): ${event.name}`);
    say(`${event.name} is in your basket.`);
    explain(); // beside it: the next click need not wait
  });
  label(add[0], 'Add', `Add ${event.name} to your basket`);
  return el('li', { class: 'ticket' },
    el('div', { class: 'what' }, el('h2', {}, event.name), el('p', { class: 'quiet' }, event.venue), el('p', { class: 'quiet' }, el('time', { datetime: event.date }, day(event.date)))),
    el('div', { class: 'stub' }, el('strong', {}, money(event.price)), add));
}

async function basket() {
  const got = await call('GET', basketPath);
  if (got.lines.length === 0) return empty('Your basket');
  return [title('Your basket'), bill(got, remove), el('p', {}, el('a', { class: 'go', href: '#/checkout' }, 'To the checkout'))];
}

async function remove({ event, name }) {
  await call('POST', basketPath, { event, quantity: 0 });
  say(`${name} is no longer in your basket.`);
  dispatchEvent(new HashChangeEvent('hashchange')); // the basket is drawn anew
}

async function checkout() {
  const got = await call('GET', basketPath);
  if (got.lines.length === 0) return empty('Checkout');
  return [title('Checkout'), el('p', { class: 'lead' }, 'This is a demo: nothing is charged and nothing is sent.'), bill(got),
    el('p', {}, el('a', { class: 'other', href: '#/basket' }, 'Back to the basket'))];
}

const empty = (heading) => [title(heading), el('p', { class: 'lead' }, 'Your basket is empty.'), el('p', {}, el('a', { class: 'go', href: '#/events' }, 'See the events'))];

function bill(got, takeOut) {
  const row = (name, amount, kind, last) => el('tr', { class: kind }, el('th', { scope: 'row' }, name), el('td', {}, amount), takeOut && el('td', {}, last ?? ''));
  const lines = got.lines.map((line) => {
    const out = takeOut && button('Remove', 'other', () => takeOut(line));
    if (out) label(out[0], 'Remove', `Remove ${line.name}`);
    return row(`${line.quantity} × ${line.name}`, sum(line.total), null, out);
  });
  return el('table', { class: 'bill' }, el('caption', { class: 'visually-hidden' }, 'What it comes to'),
    el('tbody', {}, lines, got.discount > 0 && row(`Discount of ${got.percent} %`, sum(-got.discount)), row('Total', sum(got.total), 'total')));
}

async function account() {
  const user = await userInfo();
  const rows = [['Name', user.name], ['E-mail', user.email]].filter(([, value]) => value);
  return [title('Your account'),
    el('dl', { class: 'facts' }, rows.flatMap(([name, value]) => [el('dt', {}, name), el('dd', {}, value)])),
    el('section', {}, el('h2', {}, 'Renew'), el('p', { class: 'quiet' }, 'The gateway does this by itself before the token inside the cookies ends. Two tabs may do it at once.'), el('p', {}, button('Renew now', 'other', renewNow))),
    el('section', {}, el('h2', {}, 'Revoke me'), el('p', { class: 'quiet' }, 'Ends everything that was ever allowed in your name, in every browser. The gateway has your token in its cache, hears of it from the issuer within milliseconds, and refuses; watch it.'), el('p', {}, button('Revoke me', 'danger', revokeMe)))];
}

async function renewNow(node) {
  if (!await refresh()) throw new Failure(401, '', 'Your session has ended. Sign in again.');
  node.textContent = 'Renewed ✓';
  say('Your session was renewed.');
}

const watchFor = 6_000; // milliseconds: more than a gateway that does not hear the issuer believes its cache (max_staleness, 5 s)
const watchEvery = 200;

// revokeMe ends all of the user's access, and calls on until the gateway has heard of it. The call that is refused ends the
// session of this page too.
async function revokeMe(node) {
  await call('POST', '/api/account/revoke', {});
  node.textContent = 'Revoked. Calling on…';
  const end = performance.now() + watchFor;
  while (performance.now() < end) {
    await call('GET', '/api/eventcatalog/whoami');
    await new Promise((done) => { setTimeout(done, watchEvery); });
  }
  throw new Failure(0, '', 'The gateway still honours the token. This must not be: see its log.');
}
