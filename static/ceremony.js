// A WebAuthn ceremony around an ordinary form. The page has the options. This script puts the authenticator's response
// into the form's field `credential` and posts the form. Scripts write no text: they only show the page's.

// Don't use the browser's parse...FromJSON and toJSON: older browsers lack them, and some password managers break them.
const decode = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
const encode = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer)))
    .replace(/\+/g, "-")
    .replace(/\//g, "_")
    .replace(/=+$/, "");
const decodeIds = (descriptors) => descriptors.map((each) => ({ ...each, id: decode(each.id) }));

/** Turn the server's JSON into the options that the browser takes (WebAuthn L3 5.1.8, 5.1.9). */
const fromJSON = (options) => ({
  ...options,
  challenge: decode(options.challenge),
  ...(options.user && { user: { ...options.user, id: decode(options.user.id) } }),
  ...(options.excludeCredentials && { excludeCredentials: decodeIds(options.excludeCredentials) }),
  ...(options.allowCredentials && { allowCredentials: decodeIds(options.allowCredentials) }),
});

/** Turn a PublicKeyCredential into RegistrationResponseJSON or AuthenticationResponseJSON (WebAuthn L3 5.1). */
const toJSON = ({ id, rawId, type, authenticatorAttachment, response }, extensions) => {
  const json = { id, rawId: encode(rawId), type, authenticatorAttachment, clientExtensionResults: extensions, response: {} };
  for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
    if (response[name]) json.response[name] = encode(response[name]);
  }
  if (response.getTransports) json.response.transports = response.getTransports();
  return json;
};

// Browsers allow one request at a time. A second one would fail with "a request is already pending".
let controller;
let pending = Promise.resolve();
let requests = 0;

/** Abort the pending request and wait until it ends, but at most half a second: some extensions never end it. */
async function abortPending() {
  controller?.abort();
  await Promise.race([pending, new Promise((resolve) => setTimeout(resolve, 500))]);
}

/** Abort the pending request, start this one, and return the credential as JSON text. */
async function requestCredential(start) {
  const number = ++requests;
  await abortPending();
  // A newer request came in the meantime. It replaces this one.
  if (number !== requests) throw new DOMException("Superseded", "AbortError");
  controller = new AbortController();
  const request = start(controller.signal);
  pending = request.catch(() => {});
  const credential = await request;
  return JSON.stringify(toJSON(credential, credential.getClientExtensionResults()));
}

/** <passkey-signal>: passes the server's signal to the authenticator (WebAuthn L3 5.1.10). Requests wait for it. */
class PasskeySignal extends HTMLElement {
  connectedCallback() {
    const { method, ...details } = JSON.parse(this.getAttribute("details"));
    pending = window.PublicKeyCredential?.[method]?.(details).catch(() => {});
  }
}

customElements.define("passkey-signal", PasskeySignal);

/** The base of <passkey-sign-in> and <passkey-registration>. */
export class Ceremony extends HTMLElement {
  connectedCallback() {
    this.form = this.querySelector("form");
    this.button = this.form.querySelector("button");
    if (!window.PublicKeyCredential) return this.reveal("unsupported");
    this.setOptions(JSON.parse(this.getAttribute("options")));
    this.button.disabled = false;
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.run();
    });
    // Timers stop while the laptop sleeps. So check again when the visitor returns.
    document.addEventListener("visibilitychange", () => document.hidden || this.renew());
    addEventListener("pagehide", abortPending);
    addEventListener("pageshow", (event) => event.persisted && this.restored());
    this.startAutofill();
  }

  /** Get a credential with one of the functions `modal`, `autofill` and `immediate`, and post the form with it. */
  async submitCredential(mediation) {
    const credential = await requestCredential((signal) => mediation(fromJSON(this.options), signal));
    this.submitted = true;
    const fields = this.form.elements;
    fields.credential.value = credential;
    if (fields.took && this.startedAt) fields.took.value = Math.round(performance.now() - this.startedAt);
    this.form.submit();
  }

  /** Run the ceremony after a click on the button. */
  async run(mediation = this.modal) {
    if (this.busy || this.submitted) return;
    // Without options, post the empty form: the server says why there are none.
    if (!this.options) return this.form.submit();
    this.busy = true;
    this.button.disabled = true;
    this.reveal(null);
    try {
      await this.submitCredential(mediation);
    } catch (error) {
      this.showError(error, mediation);
    }
    this.busy = false;
    if (this.submitted) return;
    this.button.disabled = false;
    this.renew();
    this.startAutofill();
  }

  /** Show why the ceremony failed. Show nothing if this script aborted it. */
  showError({ name }) {
    if (name !== "AbortError") this.reveal(this.failures[name] ?? "failed");
  }

  /** Show the sentence about this failure and hide all others. */
  reveal(failure) {
    for (const sentence of this.querySelectorAll("[data-failure]")) {
      sentence.hidden = sentence.dataset.failure !== failure;
    }
  }

  /** Offer passkeys in a field. Only <passkey-sign-in> can. */
  startAutofill() {}

  setOptions(options) {
    this.options = options;
    this.scheduleRenewal(options.timeout * 0.75);
  }

  scheduleRenewal(milliseconds) {
    this.renewAt = Date.now() + milliseconds;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.renew(), milliseconds);
  }

  /** Fetch fresh options before the challenge expires. If that fails, try again in a minute. */
  async renew() {
    const url = this.getAttribute("renew");
    // A hidden page waits until the visitor returns, so that a forgotten tab sends no requests.
    if (!url || document.hidden || this.busy || this.submitted || Date.now() < this.renewAt) return;
    this.scheduleRenewal(60_000);
    try {
      const response = await fetch(url, { method: "POST" });
      if (response.ok && !this.submitted) this.setOptions(await response.json());
      // By now, the proof is too old for options.
      if (response.status === 403) this.options = null;
    } catch {
      return;
    }
    this.startAutofill();
  }

  /** The Back button restored this page from the cache. Its challenge may be spent already, so fetch another one. */
  async restored() {
    this.busy = this.submitted = false;
    this.button.disabled = false;
    this.renewAt = 0;
    await this.renew();
  }
}
