"A real JupyterLab on loopback, and a real browser that looks at it."
import json
import os
import secrets
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

ROOT = Path(__file__).parent.parent
SETTINGS = {'@jupyterlab/apputils-extension:notification': {'fetchNews': 'false', 'checkForUpdates': False},  # no popup over the page
            '@jupyterlab/notebook-extension:tracker': {'windowingMode': 'none'},                               # every cell is drawn, in sight or not
            '@jupyterlab/completer-extension:manager': {'autoCompletion': False},
            '@jupyterlab/docmanager-extension:plugin': {'autosave': False}}

def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]

@contextmanager
def server(folder, home, seconds=180, app='jupyterlab'):
    "JupyterLab, or `notebook`, over `folder`, nothing of the user's own in it; yields (address, token)."
    port,token = free_port(),secrets.token_hex(16)
    for name,value in SETTINGS.items():
        package,_,plugin = name.partition(':')
        file = home/'settings'/package/f'{plugin}.jupyterlab-settings'
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(value))
    env = os.environ | {'JUPYTER_CONFIG_DIR': str(home/'config'), 'JUPYTER_RUNTIME_DIR': str(home/'runtime'), 'JUPYTERLAB_SETTINGS_DIR': str(home/'settings'), 'JUPYTERLAB_WORKSPACES_DIR': str(home/'workspaces'),
                        'IPYTHONDIR': str(home/'ipython'), 'PYTHONPATH': str(ROOT), 'PATH': os.pathsep.join([os.path.dirname(sys.executable), os.environ['PATH']])}
    env.pop('PLOTLY_RENDERER', None)
    with open(home/'log', 'w') as log:
        process = subprocess.Popen([sys.executable, '-m', app, '--no-browser', '--allow-root', '--ip=127.0.0.1', f'--port={port}', f'--ServerApp.root_dir={folder}', f'--IdentityProvider.token={token}', '--ServerApp.port_retries=0',
                                    f"--{ {'jupyterlab': 'LabApp', 'notebook': 'JupyterNotebookApp'}[app]}.expose_app_in_browser=True"], cwd=folder, env=env, stdout=log, stderr=subprocess.STDOUT)
    address,end = f'http://127.0.0.1:{port}',time.monotonic() + seconds
    try:
        while True:
            try: urlopen(f'{address}/api?token={token}', timeout=5).close()
            except (URLError, OSError):
                if process.poll() is not None or time.monotonic() > end: raise AssertionError(f"{app} did not start:\n{(home/'log').read_text()[-2000:]}") from None
                time.sleep(.2)
            else: break
        yield address, token
    finally:
        process.terminate()  # it ends its kernels
        try: process.wait(20)
        except subprocess.TimeoutExpired: process.kill()

class Browser:
    "A page of Chromium that remembers what went wrong, and lets nothing out."
    def __init__(self, chromium, **kw):
        context = chromium.new_context(**{'viewport': {'width': 1280, 'height': 900}} | kw)
        context.set_default_timeout(30_000)
        self.context,self.errors,self.outside = context,[],[]
        context.route(lambda url: urlsplit(url).hostname not in ('127.0.0.1', 'localhost', None, ''), lambda route: route.abort())
        context.on('request', lambda r: self.outside.append(r.url) if urlsplit(r.url).scheme in ('http', 'https', 'ws', 'wss') and urlsplit(r.url).hostname != '127.0.0.1' else None)
        context.on('console', lambda m: self.errors.append(m.text) if m.type == 'error' else None)
        context.on('weberror', lambda e: self.errors.append(str(e.error)))

    def page(self): return self.context.new_page()

_EXECUTE = '''async code => {
  const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel, said = [];
  const future = kernel.requestExecute({code, store_history: false});
  future.onIOPub = m => { if (m.header.msg_type === 'stream') said.push(m.content.text); if (m.header.msg_type === 'error') said.push(m.content.ename + ': ' + m.content.evalue); };
  await future.done;
  return said.join('');
}'''

def notebook(path, *cells):
    "Write a notebook with these cells."
    kernel = {'kernelspec': {'display_name': 'Python 3', 'language': 'python', 'name': 'python3'}}
    found = [{'cell_type': 'code', 'source': o, 'metadata': {}, 'outputs': [], 'execution_count': None, 'id': f'c{n}'} for n,o in enumerate(cells)]
    path.write_text(json.dumps({'cells': found, 'metadata': kernel, 'nbformat': 4, 'nbformat_minor': 5}), encoding='utf-8')

class Notebook:
    "An open notebook, its kernel and its page."
    def __init__(self, page, address, token, path, at='lab/tree'):
        self.page = page
        page.goto(f'{address}/{at}/{path}?token={token}&reset')
        self.ready()

    def ready(self):
        "Wait until the notebook is there and its kernel is idle; what is clicked right then gets lost, so a little longer."
        self.page.wait_for_selector('.jp-Notebook .jp-Cell')
        self.page.wait_for_function("window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'")
        self.page.wait_for_timeout(1500)

    def run_all(self): self.page.evaluate("() => { window.jupyterapp.commands.execute('notebook:run-all-cells') }")
    def ask(self, code): return self.page.evaluate(_EXECUTE, code)
    def faults(self): return self.page.locator('.jp-OutputArea-output[data-mime-type="application/vnd.jupyter.stderr"], .jp-RenderedText[data-mime-type="application/vnd.jupyter.error"]').all_inner_texts()
