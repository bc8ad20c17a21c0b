-- a comment
\restrict x
CREATE ROLE nexus_app; /* of a /* nested */ kind */
ALTER ROLE "odd ""name""" WITH NOSUPERUSER LOGIN CONNECTION LIMIT 3 VALID UNTIL '2030-01-01 00:00:00+00';
ALTER ROLE nexus_app SET search_path TO E'a\'b', U&'d\0061t', $tag$ ; $tag$;
GRANT a TO b WITH ADMIN OPTION GRANTED BY postgres;
