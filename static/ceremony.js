// A ceremony around an ordinary form. The options are in the page, the authenticator's response goes into the form's
// `credential` field, and the form is posted: the server does the rest. All text is the server's; this only reveals it.

// Not the browser's parse...FromJSON and toJSON: older browsers lack them, and some password managers break them.
const decode = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
const encode = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer)))
    .replace(/\+/g, "-")
    .replace(/\//g, "_")
    .replace(/=+$/, "");
const descriptors = (list) => list.map((item) => ({ ...item, id: decode(item.id) }));

/** Options as the server writes them (JSON) -> as the browser takes them (WebAuthn L3 5.1.8, 5.1.9). */
const fromJSON = (options) => ({
  ...options,
  challenge: decode(options.challenge),
  ...(options.user && { user: { ...options.user, id: decode(options.user.id) } }),
  ...(options.excludeCredentials && { excludeCredentials: descriptors(options.excludeCredentials) }),
  ...(options.allowCredentials && { allowCredentials: descriptors(options.allowCredentials) }),
});

/** A PublicKeyCredential -> RegistrationResponseJSON or AuthenticationResponseJSON (WebAuthn L3 5.1). */
const toJSON = ({ id, rawId, type, authenticatorAttachment, response }, extensions) => {
  const json = { id, rawId: encode(rawId), type, authenticatorAttachment, clientExtensionResults: extensions, response: {} };
  for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
    if (response[name]) json.response[name] = encode(response[name]);
  }
  if (response.getTransports) json.response.transports = response.getTransports();
  return json;
};

// One request at a time: a second one would fail with "a request is already pending".
let controller;
let settled = Promise.resolve();
let turns = 0;

/** Abort the pending request, and wait until it has let go; but not for ever, as some extensions never do. */
async function stop() {
  controller?.abort();
  await Promise.race([settled, new Promise((resolve) => setTimeout(resolve, 500))]);
}

async function ask(call) {
  const turn = ++turns;
  await stop();
  // Another was asked for while this one waited: the newest counts.
  if (turn !== turns) throw new DOMException("Superseded", "AbortError");
  controller = new AbortController();
  const answer = call(controller.signal);
  settled = answer.catch(() => {});
  const credential = await answer;
  return JSON.stringify(toJSON(credential, credential.getClientExtensionResults()));
}

/** <passkey-signal>: what the server knows, told to the authenticator (WebAuthn L3 5.1.10). It takes its turn, too. */
class PasskeySignal extends HTMLElement {
  connectedCallback() {
    const { method, ...details } = JSON.parse(this.getAttribute("details"));
    settled = window.PublicKeyCredential?.[method]?.(details).catch(() => {});
  }
}

customElements.define("passkey-signal", PasskeySignal);

/** What <passkey-sign-in> and <passkey-registration> have in common. */
export class Ceremony extends HTMLElement {
  connectedCallback() {
    this.form = this.querySelector("form");
    this.button = this.form.querySelector("button");
    if (!window.PublicKeyCredential) return this.reveal("unsupported");
    this.take(JSON.parse(this.getAttribute("options")));
    this.button.disabled = false;
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.run();
    });
    // Timers sleep when the laptop does, so look at the clock when the page is looked at.
    document.addEventListener("visibilitychange", () => document.hidden || this.renew());
    addEventListener("pagehide", stop);
    addEventListener("pageshow", (event) => event.persisted && this.comeBack());
    this.wait();
  }

  /** Run the ceremony that `call` asks the browser for, and post its response. */
  async perform(call) {
    const response = await ask((signal) => call(fromJSON(this.options), signal));
    this.done = true;
    const { credential, took } = this.form.elements;
    credential.value = response;
    if (took && this.began) took.value = Math.round(performance.now() - this.began);
    this.form.submit();
  }

  /** The button was pressed: ask the browser in this way. */
  async run(call = this.modal) {
    if (this.busy || this.done) return;
    // Without options, the server leads to where there are some.
    if (!this.options) return this.form.submit();
    this.busy = true;
    this.button.disabled = true;
    this.reveal(null);
    try {
      await this.perform(call);
    } catch (error) {
      this.explain(error, call);
    }
    this.busy = false;
    if (this.done) return;
    this.button.disabled = false;
    this.renew();
    this.wait();
  }

  /** Say what went wrong, unless it was us who ended it. */
  explain({ name }) {
    if (name !== "AbortError") this.reveal(this.failures[name] ?? "failed");
  }

  /** Show this one sentence, and no other. */
  reveal(failure) {
    for (const sentence of this.querySelectorAll("[data-failure]")) {
      sentence.hidden = sentence.dataset.failure !== failure;
    }
  }

  /** Wait for the visitor in another way than by the button. */
  wait() {}

  take(options) {
    this.options = options;
    this.plan(options.timeout * 0.75);
  }

  plan(milliseconds) {
    this.renewAt = Date.now() + milliseconds;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.renew(), milliseconds);
  }

  /** Fetch fresh options before the challenge expires; one that fails is tried again in a minute. */
  async renew() {
    const url = this.getAttribute("renew");
    // A hidden page waits until it is looked at: a forgotten tab asks for nothing.
    if (!url || document.hidden || this.busy || this.done || Date.now() < this.renewAt) return;
    this.plan(60_000);
    try {
      const response = await fetch(url, { method: "POST" });
      if (response.ok && !this.done) this.take(await response.json());
      // There are none without fresh proof, and this page's is too old by now.
      if (response.status === 403) this.options = null;
    } catch {
      return;
    }
    this.wait();
  }

  /** The Back button restored this page as it was left: its challenge may be spent, and nothing is pending. */
  async comeBack() {
    this.busy = this.done = false;
    this.button.disabled = false;
    this.renewAt = 0;
    await this.renew();
  }
}
