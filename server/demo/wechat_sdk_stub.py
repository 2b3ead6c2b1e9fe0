"""WeChat's JS-SDK as the stub serves it (`/open/js/jweixin-1.6.0.js`), for browsers with WeChat's user agent.

It refuses a signature that is not right for this address: Android wants the current address, iOS the one that the page
was opened at. What was not named in `jsApiList` of a right configuration is refused. The rest is played by the page
that hosts it: `WeixinStub.subscribe` answers the dialog of `wx-open-subscribe`, `WeixinStub.choose` gives the photo of
`chooseImage`, `WeixinStub.scan` the text of `scanQRCode`.
"""

DEMO_TICKET = "stub-ticket-of-the-js-sdk"


def build_script() -> str:
    return _SCRIPT.replace("TICKET", DEMO_TICKET)


_SCRIPT = """
(() => {
  const entry = location.href.split('#')[0];
  const isIos = /iPhone|iPad/.test(navigator.userAgent);
  const played = () => globalThis.WeixinStub ?? {};
  let ready = () => {}, failed = () => {}, allowed = [];
  const settle = (options, answer) =>
    Promise.resolve(answer).then(
      (result) => options.success?.(result),
      (error) => options[/:cancel$/.test(error) ? 'cancel' : 'fail']?.({ errMsg: String(error) }),
    );
  async function isSigned({ timestamp, nonceStr, signature }) {
    const url = isIos ? entry : location.href.split('#')[0];
    const text = `jsapi_ticket=TICKET&noncestr=${nonceStr}&timestamp=${timestamp}&url=${url}`;
    const digest = await crypto.subtle.digest('SHA-1', new TextEncoder().encode(text));
    return signature === [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  }
  globalThis.wx = {
    ready: (then) => (ready = then),
    error: (then) => (failed = then),
    config: async (options) => {
      const signed = await isSigned(options);
      allowed = signed ? options.jsApiList : [];
      if (!signed) failed({ errMsg: 'config:invalid signature' });
      ready();
    },
    getLocation: (options) =>
      navigator.geolocation.getCurrentPosition(
        ({ coords }) =>
          options.success({
            latitude: coords.latitude, longitude: coords.longitude, accuracy: coords.accuracy, speed: -1,
          }),
        () => options.cancel?.(),
      ),
    chooseImage: (options) => settle(options, played().choose?.(options) ?? Promise.reject('chooseImage:cancel')),
    getLocalImgData: (options) => settle(options, played().read?.(options.localId) ?? Promise.reject('fail')),
    scanQRCode: (options) => settle(options, played().scan?.() ?? Promise.reject('scanQRCode:cancel')),
  };
  for (const name of ['getLocation', 'chooseImage', 'getLocalImgData', 'scanQRCode']) {
    const ask = globalThis.wx[name];
    globalThis.wx[name] = (options) =>
      allowed.includes(name) ? ask(options) : options.fail?.({ errMsg: `${name}:permission denied` });
  }
  customElements.define(
    'wx-open-subscribe',
    class extends HTMLElement {
      connectedCallback() {
        const button = document.createElement('button');
        button.textContent = this.querySelector('script')?.textContent.replace(/<[^>]*>/g, '') ?? '';
        button.style.minHeight = '48px';
        button.onclick = async () => {
          const answer = await played().subscribe?.(this.getAttribute('template'));
          this.dispatchEvent(
            answer
              ? new CustomEvent('success', { detail: { errMsg: 'openSubscribe:ok', subscribeDetails: '' } })
              : new CustomEvent('error', { detail: { errMsg: 'openSubscribe:fail' } }),
          );
        };
        this.replaceChildren(button); // as WeChat takes the template in
      }
    },
  );
})();
"""
