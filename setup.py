"Everything about the distribution comes from settings.ini."
from configparser import ConfigParser
from pathlib import Path

from setuptools import find_packages, setup

cfg = ConfigParser(delimiters=['='])
cfg.read(Path(__file__).parent/'settings.ini')
s = cfg['DEFAULT']
extras = {o.removesuffix('_requirements'): s[o].split() for o in s if o.endswith('_requirements')}

setup(
    name=s['lib_name'],
    version=s['version'],
    description=s['description'],
    long_description=(Path(__file__).parent/'README.md').read_text(),
    long_description_content_type='text/markdown',
    keywords=s['keywords'],
    author=s['author'],
    author_email=s['author_email'],
    url=s['git_url'],
    license='Apache-2.0',
    license_files=['LICENSE', 'NOTICE'],
    packages=find_packages(include=[s['lib_name'], s['lib_name'] + '.*']),
    include_package_data=True,
    python_requires='>=' + s['min_python'],
    install_requires=s['requirements'].split(),
    extras_require=extras,
    entry_points={'console_scripts': s.get('console_scripts', '').split(), 'nbdev': [f"{s['lib_name']}={s['lib_name']}._modidx:d"]},
    classifiers=['Development Status :: 3 - Alpha', 'Intended Audience :: Science/Research', 'Programming Language :: Python :: 3'],
    zip_safe=False,
)
