"Everything about the distribution comes from settings.ini; the extra NAME is its key NAME_requirements."
from configparser import ConfigParser
from pathlib import Path

from setuptools import find_packages, setup

here = Path(__file__).parent
cfg = ConfigParser(delimiters=['='], interpolation=None)
cfg.read(here/'settings.ini')
s = cfg['DEFAULT']
statuses = ['1 - Planning', '2 - Pre-Alpha', '3 - Alpha', '4 - Beta', '5 - Production/Stable', '6 - Mature', '7 - Inactive']

setup(
    name=s['lib_name'],
    version=s['version'],
    description=s['description'],
    long_description=(here/'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    keywords=s['keywords'].split(),
    author=s['author'],
    license='Apache-2.0',
    license_files=['LICENSE', 'NOTICE'],
    packages=find_packages(include=[s['lib_name'], s['lib_name'] + '.*']),
    package_data={s['lib_name']: ['static/*', 'gpunet/*.json']},
    python_requires='>=' + s['min_python'],
    install_requires=s['requirements'].split(),
    extras_require={o.removesuffix('_requirements'): s[o].split() for o in s if o.endswith('_requirements')},
    entry_points={'console_scripts': s['console_scripts'].split(), 'nbdev': [f"{s['lib_name']}={s['lib_name']}._modidx:d"]},
    classifiers=[
        f"Development Status :: {statuses[int(s['status']) - 1]}",
        f"Intended Audience :: {s['audience']}",
        'Intended Audience :: Science/Research',
        f"Natural Language :: {s['language']}",
        *(f'Programming Language :: Python :: 3.{o}' for o in (11, 12, 13)),
        'Topic :: Scientific/Engineering :: Artificial Intelligence',
    ],
    zip_safe=False,
    **({'url': s['git_url']} if s['git_url'] else {}),
)
