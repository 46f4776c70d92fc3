// <passkey-sign-in>: signs in with a passkey. Autofill waits from the start, and a click on the button interrupts it.
// Pages that ask for fresh proof have no email field, so they have only the button.

import { Ceremony } from "./ceremony.js";

class PasskeySignIn extends Ceremony {
  failures = { NotAllowedError: "cancelled" };

  modal = (publicKey, signal) => navigator.credentials.get({ publicKey, signal });

  autofill = (publicKey, signal) => navigator.credentials.get({ publicKey, signal, mediation: "conditional" });

  // Offer only passkeys on this device, and fail at once if there are none. The modal dialog would show a QR code.
  immediate = (publicKey, signal) => navigator.credentials.get({ publicKey, signal, uiMode: "immediate" });

  connectedCallback() {
    this.field = document.querySelector("input[autocomplete~=webauthn]");
    // The last click or key in the field opens the list of passkeys. Measure from there.
    for (const event of ["pointerdown", "keydown"]) {
      this.field?.addEventListener(event, () => (this.startedAt = performance.now()));
    }
    this.otherDeviceButton = this.querySelector("[data-elsewhere]");
    this.otherDeviceButton?.addEventListener("click", () => this.run(this.modal));
    // Ask now, so that a click doesn't have to wait for the answer.
    this.capabilities = this.otherDeviceButton && window.PublicKeyCredential?.getClientCapabilities?.();
    super.connectedCallback();
  }

  async run(mediation) {
    this.startedAt = performance.now();
    // If the visitor typed an address, the passkey must belong to that account.
    if (this.field) this.fill(this.field.value, "button");
    super.run(mediation ?? ((await this.capabilities)?.immediateGet ? this.immediate : this.modal));
  }

  fill(email, by) {
    this.form.elements.email.value = email;
    this.form.elements.by.value = by;
  }

  showError(error, mediation) {
    this.startedAt = null;
    if (mediation !== this.immediate || error.name !== "NotAllowedError") return super.showError(error);
    // The device has no passkey, or the visitor cancelled. The browser doesn't say which.
    this.reveal("nothing_here");
    this.otherDeviceButton.hidden = false;
  }

  /** Let the browser offer passkeys in the email field until the visitor picks one. */
  async startAutofill() {
    const available = this.field && (await PublicKeyCredential.isConditionalMediationAvailable?.());
    if (!available) return;
    document.querySelector("[data-autofill]").hidden = false;
    if (this.busy || this.submitted) return;
    this.fill("", "autofill");
    try {
      await this.submitCredential(this.autofill);
    } catch (error) {
      // The code that aborted autofill starts it again.
      if (error.name === "AbortError") return;
      // Otherwise the browser has shown an error. Start again when the visitor returns to the field.
      for (const event of ["focus", "click"]) {
        this.field.addEventListener(event, () => this.startAutofill(), { once: true });
      }
    }
  }
}

customElements.define("passkey-sign-in", PasskeySignIn);
