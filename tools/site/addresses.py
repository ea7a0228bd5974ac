"""Links that lead away from the page: repository, launch services, the site's own address.

``_config.yml`` sets both addresses once: ``repository.url`` and ``html.baseurl``. Where one is
empty, everything that would need it is absent.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urljoin, urlparse
from xml.sax.saxutils import escape

from sphinx.application import Sphinx
from sphinx.config import Config

LAUNCH_SERVICES = {
    "binderhub_url": "https://mybinder.org",
    "colab_url": "https://colab.research.google.com",  # GitHub only
    "notebook_interface": "jupyterlab",
}


def configure(config: Config) -> None:
    """Switch on what the addresses in the configuration make possible."""
    base, options = config.html_baseurl, config.html_theme_options
    config.notfound_urls_prefix = urlparse(base).path or "/"
    repository = options.get("repository_url", "").rstrip("/")
    if not repository:
        options.pop("repository_url", None)
        return
    options |= {"repository_url": repository, "use_repository_button": True}
    host = urlparse(repository).hostname
    if host not in ("github.com", "gitlab.com"):
        return  # the theme knows the addresses of issues and editors on these two only
    services = dict(LAUNCH_SERVICES)
    if host != "github.com":
        del services["colab_url"]
    options |= {"use_issues_button": True, "use_edit_page_button": True}
    options["launch_buttons"] = services


def write_sitemap(app: Sphinx, error: Exception | None) -> None:
    """Write ``sitemap.xml``, and a ``robots.txt`` that names it, where there is an address."""
    base, folder = app.config.html_baseurl, Path(app.outdir)
    if error or app.builder.name != "html" or not base:
        return
    pages = [urljoin(base, app.builder.get_target_uri(page)) for page in sorted(app.env.found_docs)]
    entries = "".join(f"  <url><loc>{escape(page)}</loc></url>\n" for page in pages)
    (folder / "sitemap.xml").write_text(
        '<?xml version="1.0" encoding="utf-8"?>\n'
        f'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n{entries}</urlset>\n'
    )
    (folder / "robots.txt").write_text(
        f"User-agent: *\nAllow: /\nSitemap: {urljoin(base, 'sitemap.xml')}\n"
    )
