"""Prepared datasets: synthetic faces, importers of real releases, checks, and audits.

===================  ==================================================================
taxonomy, manifest   attack types; the files of a prepared dataset
contract             checks of tables, paths kept inside, packed files
building             parallel and resumable builds, shards
media                images, faces, and video
inspection           the shortcut audit, contact sheets, the inspection page
synthetic            people who do not exist, and their attacks
releases             UniAttackData, JFSFDB, and any folder
studies              measurements of the attacks
===================  ==================================================================
"""
